"""Trains the transformer on the channel `train`: CSV files with the columns text and label."""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
from pathlib import Path

import torch
from network import LABELS, Sentiment, make_vocabulary, to_numbers
from safetensors.torch import save_file
from torch import nn


def main() -> None:
    """Train and save."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.003)
    arguments = parser.parse_args()

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(1)
    texts, labels = read("train")
    vocabulary = make_vocabulary(texts)
    model = Sentiment(words=len(vocabulary) + 2).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=arguments.lr)
    numbers, truth = to_numbers(texts, vocabulary).to(device), labels.to(device)
    for epoch in range(arguments.epochs):
        model.train()
        total = 0.0
        for batch in torch.randperm(len(truth), device=device).split(arguments.batch_size):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(numbers[batch]), truth[batch])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        print(f"epoch={epoch}; train-loss={total / len(truth):.4f};")
    if "SM_CHANNEL_VALIDATION" in os.environ:
        texts, labels = read("validation")
        model.eval()
        with torch.no_grad():
            found = model(to_numbers(texts, vocabulary).to(device)).argmax(dim=1).cpu()
        print(f"validation-accuracy={(found == labels).float().mean().item():.4f};")
    save(model, vocabulary)


def read(channel: str) -> tuple[list[str], torch.Tensor]:
    """The texts of a channel, and the place of each label in `LABELS`, shape (n,)."""
    rows = []
    for path in sorted(Path(os.environ[f"SM_CHANNEL_{channel.upper()}"]).glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            rows += list(csv.DictReader(file))
    return [row["text"] for row in rows], torch.tensor([LABELS.index(row["label"]) for row in rows])


def save(model: Sentiment, vocabulary: dict[str, int]) -> None:
    """The weights, the words, and the code that serves them."""
    directory = Path(os.environ["SM_MODEL_DIR"])
    save_file(model.cpu().state_dict(), directory / "model.safetensors")
    (directory / "vocabulary.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (directory / "code").mkdir(exist_ok=True)
    for name in ("network.py", "inference.py"):
        shutil.copy(Path(__file__).parent / name, directory / "code" / name)


if __name__ == "__main__":
    main()
