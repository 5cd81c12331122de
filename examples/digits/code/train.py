"""Trains the network on the channel `train`; on several hosts by DistributedDataParallel, under torchrun.

Every host has all pictures and takes its share of each batch, so the model is the same as on one host. After
each epoch the state goes to /opt/ml/checkpoints where the job has that directory; a job that was taken away
goes on from there. The model brings this directory as its code/.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from network import Digits
from torch import nn
from torch.nn.parallel import DistributedDataParallel

CHECKPOINT = Path("/opt/ml/checkpoints/last.pt")


def main() -> None:
    """Train and save."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.003)
    arguments = parser.parse_args()

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    torch.manual_seed(1)
    network = Digits().to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=arguments.lr)
    first = resume(network, optimizer, device)
    model: nn.Module = network
    if world > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        model = DistributedDataParallel(network)

    pictures, labels = read("train", device)
    validation = read("validation", device) if "SM_CHANNEL_VALIDATION" in os.environ else None
    for epoch in range(first, arguments.epochs):
        model.train()
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(epoch))
        # Ranks take turns in a batch, and all have as many pictures: one without would be waited for.
        for batch in order[: len(order) // world * world].split(arguments.batch_size * world):
            part = batch[rank::world]
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(pictures[part]), labels[part])
            loss.backward()
            optimizer.step()
        loss = loss.detach() / world
        if world > 1:
            dist.all_reduce(loss)
        if rank == 0:
            line = f"epoch={epoch}; train-loss={loss.item():.4f};"
            print(
                line
                if validation is None
                else f"{line} validation-accuracy={accuracy(network, *validation):.4f};"
            )
            save_checkpoint(network, optimizer, epoch)
    if rank == 0:
        save(network)
    if world > 1:
        dist.barrier()
        # Before the group, whose thread may wait for this one to let Python go, while this one, which has the
        # last reference to the group in what wraps the network, waits for that thread to end.
        del model
        dist.destroy_process_group()
        if rank == 0:
            # Last: with its torchrun goes the store that the others ask whether all are done
            # (pytorch/pytorch#69520).
            time.sleep(2)


def read(channel: str, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """The pictures and labels of a channel."""
    directory = Path(os.environ[f"SM_CHANNEL_{channel.upper()}"])
    pictures, labels = (np.load(directory / f"{name}.npy") for name in ("pictures", "labels"))
    return torch.from_numpy(pictures).to(device), torch.from_numpy(labels).to(device)


def accuracy(network: nn.Module, pictures: torch.Tensor, labels: torch.Tensor) -> float:
    """The share of pictures whose digit is found."""
    network.eval()
    with torch.no_grad():
        return float((network(pictures).argmax(dim=1) == labels).float().mean())


def resume(network: nn.Module, optimizer: torch.optim.Optimizer, device: torch.device) -> int:
    """The first epoch that is left to do."""
    if not CHECKPOINT.is_file():
        return 0
    state = torch.load(CHECKPOINT, map_location=device, weights_only=True)
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    print(f"Goes on after epoch {state['epoch']}.")
    return int(state["epoch"]) + 1


def save_checkpoint(network: nn.Module, optimizer: torch.optim.Optimizer, epoch: int) -> None:
    """Under another name first: a job may be taken away at any time."""
    if CHECKPOINT.parent.is_dir():
        state = {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}
        torch.save(state, CHECKPOINT.with_suffix(".new"))
        CHECKPOINT.with_suffix(".new").replace(CHECKPOINT)


def save(network: nn.Module) -> None:
    """The weights, and the code that serves them."""
    directory = Path(os.environ["SM_MODEL_DIR"])
    torch.save(network.state_dict(), directory / "model.pth")
    (directory / "code").mkdir(exist_ok=True)
    for name in ("network.py", "inference.py"):
        shutil.copy(Path(__file__).parent / name, directory / "code" / name)


if __name__ == "__main__":
    main()
