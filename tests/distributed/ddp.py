"""Trains one number by DDP over Gloo; the rank that leads saves what every rank must have come to.

Hyperparameter `lose`: the host that ends with an exception in the middle.
"""

import argparse
import json
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
parser.add_argument("--lose", default="")
options = parser.parse_args()

dist.init_process_group("gloo")
rank, world = dist.get_rank(), dist.get_world_size()
host = os.environ["SM_CURRENT_HOST"]
torch.manual_seed(rank)  # DDP must make the ranks equal
model = DistributedDataParallel(torch.nn.Linear(1, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
inputs = torch.full((8, 1), float(rank + 1))
for epoch in range(options.epochs):
    if host == options.lose and epoch == 3:
        raise ValueError(f"host {host} has lost its data")
    optimizer.zero_grad()
    loss = ((model(inputs) - 3 * inputs) ** 2).mean()
    loss.backward()
    optimizer.step()
    print(f"train-loss={loss.item():.6f};", flush=True)
weight = model.module.weight.detach().clone()
weights = [torch.zeros_like(weight) for _ in range(world)]
dist.all_gather(weights, weight)
facts = {"rank": rank, "world": world, "weights": [float(each) for each in weights], "host": host}
Path(os.environ["SM_OUTPUT_DATA_DIR"]).mkdir(parents=True, exist_ok=True)
Path(os.environ["SM_OUTPUT_DATA_DIR"], "facts.json").write_text(json.dumps(facts))
dist.barrier()
# Gloo aborts a rank that is still reading when the connection of a quicker one goes. Rank 0 is last: with its
# torchrun goes the store that the others ask whether all are done (pytorch/pytorch#69520).
time.sleep(3 if rank == 0 else 2)
del model  # before the group, or the group's thread and this one may wait for each other
dist.destroy_process_group()
