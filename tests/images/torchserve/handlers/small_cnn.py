"""A network of pictures of 8 by 8, as the file of a class that archives name."""

import torch
from torch import nn


class SmallCnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.classes = nn.Linear(8 * 4 * 4, 3)

    def forward(self, pictures):
        return torch.log_softmax(self.classes(self.features(pictures).flatten(1)), dim=1)
