"""The limit that PyTorch sets: the model alone on batches in memory, in a loop, on one thread.

Usage: bare_loop.py MODEL.pt NAME ROWS SECONDS. Prints rows a second.
"""

from __future__ import annotations

import sys
import time

import torch
from networks import sample


def main(path: str, name: str, rows: int, seconds: float) -> float:
    """Rows a second of batches of `rows`."""
    model = torch.jit.load(path).eval()
    data = sample(name, rows)
    with torch.inference_mode():
        for _ in range(20):  # TorchScript optimizes in the first calls
            model(data)
        began, count = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - began) < seconds:
            model(data)
            count += rows
    return count / elapsed


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
