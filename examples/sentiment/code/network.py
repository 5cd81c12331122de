"""The network and its vocabulary, which training and serving share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import nn

LABELS = ("negative", "positive")
PADDING, UNKNOWN = 0, 1
LONGEST = 32  # words


class Sentiment(nn.Module):
    """A transformer of two layers, whose mean over the words is classified.

    Takes numbers of words of shape (n, words), padded with `PADDING`, and gives the logits of `LABELS`,
    shape (n, 2).
    """

    def __init__(self, words: int, width: int = 32) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width, padding_idx=PADDING)
        self.places = nn.Embedding(LONGEST, width)
        layer = nn.TransformerEncoderLayer(width, nhead=4, dim_feedforward=2 * width, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
        self.labels = nn.Linear(width, len(LABELS))

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        """The logits."""
        is_padding = numbers == PADDING
        places = torch.arange(numbers.shape[1], device=numbers.device)
        hidden = self.layers(self.words(numbers) + self.places(places), src_key_padding_mask=is_padding)
        is_word = (~is_padding).unsqueeze(-1)
        mean = (hidden * is_word).sum(dim=1) / is_word.sum(dim=1).clamp(min=1)
        logits: torch.Tensor = self.labels(mean)
        return logits


def make_vocabulary(texts: Iterable[str]) -> dict[str, int]:
    """Word to number, of all words in the texts."""
    words = sorted({word for text in texts for word in text.lower().split()})
    return {word: number for number, word in enumerate(words, start=UNKNOWN + 1)}


def to_numbers(texts: Sequence[str], vocabulary: Mapping[str, int]) -> torch.Tensor:
    """The texts as numbers of words, shape (n, longest); words beyond `LONGEST` are cut off."""
    rows = [[vocabulary.get(word, UNKNOWN) for word in text.lower().split()[:LONGEST]] for text in texts]
    longest = max(1, *(len(row) for row in rows)) if rows else 1
    return torch.tensor([row + [PADDING] * (longest - len(row)) for row in rows]).reshape(-1, longest)
