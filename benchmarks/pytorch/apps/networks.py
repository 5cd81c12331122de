"""The models: two convolutional networks of small pictures, and a transformer over words."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

LENGTH = 16  # tokens of a text
WIDTHS = {"cnn": 8, "larger-cnn": 28}  # of square pictures
_WORDS = 4096
_HIDDEN = 32


class Convolutional(nn.Module):
    """Square pictures of one channel to ten classes, as examples/digits has it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * (width // 2) ** 2, 10),
        )

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """(n, 1, width, width) to probabilities (n, 10)."""
        return torch.softmax(self.layers(pictures), dim=1)


class Transformer(nn.Module):
    """16 tokens to two classes, by two layers of 32."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(_WORDS, _HIDDEN)
        layer = nn.TransformerEncoderLayer(_HIDDEN, 4, 2 * _HIDDEN, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(_HIDDEN, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(n, 16) to probabilities (n, 2)."""
        return torch.softmax(self.head(self.encoder(self.embedding(tokens)).mean(dim=1)), dim=1)


def tokenize(text: str) -> list[int]:
    """Word numbers, cut and filled up to 16."""
    numbers = [1 + int(word.removeprefix("word")) % (_WORDS - 1) for word in text.split()[:LENGTH]]
    return numbers + [0] * (LENGTH - len(numbers))


def save(name: str, path: Path) -> None:
    """Write a model with random weights, of a fixed seed, as TorchScript."""
    torch.manual_seed(1)
    model = Convolutional(WIDTHS[name]) if name in WIDTHS else Transformer()
    torch.jit.script(model.eval()).save(str(path))


def sample(name: str, rows: int) -> torch.Tensor:
    """A batch."""
    if name in WIDTHS:
        return torch.rand(rows, 1, WIDTHS[name], WIDTHS[name])
    return torch.randint(_WORDS, (rows, LENGTH))


if __name__ == "__main__":
    import sys

    save(sys.argv[1], Path(sys.argv[2]))
