"""The network, which training and serving share."""

from __future__ import annotations

import torch
from torch import nn


class Digits(nn.Module):
    """A small convolutional network.

    Takes pictures of shape (n, 1, 8, 8) from 0 to 1, and gives the logits of ten digits, shape (n, 10).
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 4 * 4, 10),
        )

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """The logits."""
        logits: torch.Tensor = self.layers(pictures)
        return logits
