"""A network of a few weights on the suite's table: what a user's own PyTorch script looks like.

Reads the channels `train` and `validation` (CSV, no header, the label last), goes on from a checkpoint, ends
with what it has on SIGTERM, and saves an exported program, which the image serves without any code.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import signal
from pathlib import Path

import numpy as np
import torch
from torch import nn

CHECKPOINTS = Path("/opt/ml/checkpoints")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--lr", type=float, default=0.01)
    arguments = parser.parse_args()

    features, label = read("train", is_required=True)
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(features.shape[1], 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=arguments.lr)
    first = resume(model, optimizer)

    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    for epoch in range(first, arguments.epochs):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(features), label)
        loss.backward()
        optimizer.step()
        if epoch % 100 == 0 or epoch + 1 == arguments.epochs:
            print(f"epoch={epoch}; train-loss={loss.item():.4f};")
            save_checkpoint(model, optimizer, epoch)
        if stopping:
            break
    others, truth = read("validation", is_required=False)
    if len(others):
        print(f"validation-loss={nn.functional.mse_loss(model(others), truth).item():.4f};")
    if os.environ["SM_CURRENT_HOST"] == min(json.loads(os.environ["SM_HOSTS"])):
        save(model, features)


def read(channel: str, is_required: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """The columns but the last, shape (rows, columns), and the last, shape (rows, 1)."""
    directory = os.environ.get(f"SM_CHANNEL_{channel.upper()}", "")
    files = sorted(Path(directory).rglob("*.csv")) if directory else []
    if not files and is_required:
        raise FileNotFoundError(f"The channel {channel} holds no CSV file in {directory or 'this job'}.")
    tables = []
    for file in files:
        try:
            tables.append(np.loadtxt(file, delimiter=",", dtype=np.float32, ndmin=2))
        except ValueError as error:
            raise ValueError(f"{file.name} of channel {channel}: {error}") from None
    table = torch.from_numpy(np.concatenate(tables)) if tables else torch.empty(0, 2)
    return table[:, :-1], table[:, -1:]


def resume(model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """The first epoch that is left to do; a checkpoint that cannot be used is passed over."""
    try:
        state = torch.load(CHECKPOINTS / "last.pt", weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    except (OSError, RuntimeError, KeyError, EOFError, pickle.UnpicklingError):
        return 0
    return int(state["epoch"]) + 1


def save_checkpoint(model: nn.Module, optimizer: torch.optim.Optimizer, epoch: int) -> None:
    """Whole or not at all: it is written beside its place, and renamed."""
    if CHECKPOINTS.is_dir():
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}
        torch.save(state, CHECKPOINTS / "last.pt.tmp")
        (CHECKPOINTS / "last.pt.tmp").replace(CHECKPOINTS / "last.pt")


def save(model: nn.Module, features: torch.Tensor) -> None:
    """An exported program that takes any number of rows."""
    rows = torch.export.Dim("rows")
    program = torch.export.export(model.eval(), (features[:2],), dynamic_shapes=({0: rows},))
    torch.export.save(program, Path(os.environ["SM_MODEL_DIR"]) / "model.pt2")


if __name__ == "__main__":
    main()
