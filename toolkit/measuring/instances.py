"""Which of the common ml.* training instances holds what a job used; from data/instances.toml."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_TABLE = Path(__file__).parent.parent / "data" / "instances.toml"
GIB = 2**30
SPARE = 1.25  # memory that is left to growth, and to what the platform itself runs beside the container


@dataclass(frozen=True)
class Instance:
    """A training instance; `gpus` is 0 and `gpu_memory_gib` too for one without."""

    name: str
    vcpus: int
    memory_gib: int
    gpus: int = 0
    gpu: str = ""
    gpu_memory_gib: int = 0

    def describe(self) -> str:
        """`ml.m5.large (2 vCPU, 8 GiB)`."""
        gpus = f", {self.gpus} x {self.gpu}" if self.gpus else ""
        return f"{self.name} ({self.vcpus} vCPU, {self.memory_gib} GiB{gpus})"


@cache
def instances() -> tuple[Instance, ...]:
    """The table, smallest first: by vCPU, then memory."""
    table = tomllib.loads(_TABLE.read_text(encoding="utf-8"))
    found = [Instance(*row) for row in (*table["cpu"], *table["gpu"])]
    return tuple(sorted(found, key=lambda one: (one.vcpus, one.memory_gib)))


def smallest(cores: float, memory_bytes: float, gpu_memory_bytes: float = 0) -> Instance | None:
    """The smallest listed instance with as many vCPU and, with a quarter to spare, as much memory.

    Args:
        cores: busy at one time, counted as the engine counts CPUs: hardware threads, as a vCPU is one.
        memory_bytes: in use at most, without page cache.
        gpu_memory_bytes: 0 for an instance without GPU.

    Returns:
        None where no listed instance is large enough.
    """
    for one in instances():
        if bool(one.gpus) != bool(gpu_memory_bytes):
            continue
        enough_memory = one.memory_gib * GIB >= memory_bytes * SPARE
        enough_gpu_memory = one.gpu_memory_gib * GIB >= gpu_memory_bytes
        if one.vcpus >= math.ceil(round(cores, 1)) and enough_memory and enough_gpu_memory:
            return one
    return None
