"""How long predictions take, by the number of rows: what decides who answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from opt_ml_ensemble.schema import Matrix

SIZES = (1, 4, 8, 16, 32, 64, 128, 256)

Timings = Mapping[int, float]


def measure(
    predict: Callable[[Matrix], Any], rows: Matrix, sizes: Sequence[int] = SIZES, rounds: int = 3
) -> dict[int, float]:
    """Seconds a call by the number of rows: the least of some rounds, each on other rows.

    Args:
        predict: one of the ways to predict.
        rows: rows that vary; repeated where a size needs more.
        sizes: numbers of rows.
        rounds: calls of each size.
    """
    most = max(sizes) * rounds
    varying = np.concatenate([rows] * (most // len(rows) + 1))
    predict(varying[:1])
    found = {}
    for size in sizes:
        times = []
        for number in range(rounds):
            part = np.ascontiguousarray(varying[number * size : (number + 1) * size])
            start = time.perf_counter()
            predict(part)
            times.append(time.perf_counter() - start)
        found[size] = min(times)
    return found


def faster_from(candidate: Timings, other: Timings) -> int | None:
    """The least number of rows from which on `candidate` always takes less time; None where it never does."""
    least = None
    for size in sorted(candidate, reverse=True):
        if candidate[size] >= other[size]:
            break
        least = size
    return least


def most_within(timings: Timings, seconds: float) -> int:
    """The number of rows that takes so long, of those measured or between; 0 where one takes longer."""
    if timings[min(timings)] > seconds:
        return 0
    sizes = sorted(timings)
    times = np.maximum.accumulate([timings[size] for size in sizes])  # a slip of the clock is no gain
    return int(np.interp(seconds, times, sizes))
