"""Trains the graph network on the channel `train`: nodes.csv, of which some have a kind, and edges.csv."""

from __future__ import annotations

import argparse
import csv
import os
import shutil
from pathlib import Path

import torch
from network import Readers
from torch import nn


def main() -> None:
    """Train and save."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--lr", type=float, default=0.01)
    arguments = parser.parse_args()

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(1)
    features, kinds, edges = (part.to(device) for part in read(Path(os.environ["SM_CHANNEL_TRAIN"])))
    labelled = torch.nonzero(kinds >= 0).flatten()
    # A fifth of the nodes whose kind is known is kept back, to see how good the model is with the others.
    learned, kept_back = labelled[len(labelled) // 5 :], labelled[: len(labelled) // 5]
    facts = {"features": features.shape[1], "kinds": int(kinds.max()) + 1}
    model = Readers(**facts).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=arguments.lr, weight_decay=5e-3)
    for epoch in range(arguments.epochs):
        model.train()
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(features, edges)[learned], kinds[learned])
        loss.backward()
        optimizer.step()
        if epoch % 10 == 9:
            print(f"epoch={epoch}; train-loss={loss.item():.4f};")
    model.eval()
    with torch.no_grad():
        found = model(features, edges).argmax(dim=1)[kept_back]
    print(f"validation-accuracy={(found == kinds[kept_back]).float().mean().item():.4f};")
    save(model, facts)


def read(directory: Path) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features (nodes, features), kinds (nodes,) with -1 for those unknown, and edges (2, edges)."""
    with (directory / "nodes.csv").open(newline="", encoding="utf-8") as file:
        _, *nodes = csv.reader(file)
    with (directory / "edges.csv").open(newline="", encoding="utf-8") as file:
        _, *edges = csv.reader(file)
    features = torch.tensor([[float(value) for value in row[:-1]] for row in nodes])
    kinds = torch.tensor([int(row[-1] or -1) for row in nodes])
    return features, kinds, torch.tensor([[int(place) for place in row] for row in edges]).T


def save(model: Readers, facts: dict[str, int]) -> None:
    """The weights, what makes the network of them, and the code that serves it."""
    directory = Path(os.environ["SM_MODEL_DIR"])
    torch.save({"facts": facts, "state_dict": model.cpu().state_dict()}, directory / "model.pth")
    (directory / "code").mkdir(exist_ok=True)
    for name in ("network.py", "inference.py"):
        shutil.copy(Path(__file__).parent / name, directory / "code" / name)


if __name__ == "__main__":
    main()
