"""How long predictions take, by the number of rows: what decides who answers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from opt_ml_ensemble.schema import Matrix

SIZES = (1, 4, 8, 16, 32, 64, 128, 256)

Timings = Mapping[int, float]
Predict = Callable[[Matrix], Any]


def measure(
    ways: Mapping[str, Predict], rows: Matrix, sizes: Sequence[int] = SIZES, rounds: int = 2
) -> dict[str, dict[int, float]]:
    """Seconds a call, by way and number of rows: the least of some rounds, each on other rows.

    The ways take turns, so that a slow moment of the machine hits all.

    Args:
        ways: to predict, by name.
        rows: rows that vary; repeated where a size needs more.
        sizes: numbers of rows.
        rounds: calls of each size.
    """
    varying = np.concatenate([rows] * (max(sizes) * rounds // len(rows) + 1))
    for predict in ways.values():
        predict(varying[:1])
    found: dict[str, dict[int, float]] = {name: dict.fromkeys(sizes, math.inf) for name in ways}
    for size in sizes:
        for number in range(rounds):
            part = np.ascontiguousarray(varying[number * size : (number + 1) * size])
            for name, predict in ways.items():
                start = time.perf_counter()
                predict(part)
                found[name][size] = min(found[name][size], time.perf_counter() - start)
    return found


def faster_from(candidate: Timings, other: Timings) -> int | None:
    """The number of rows from which on `candidate` is to answer in place of `other`; None for never.

    That with the most gain, as a factor, over all sizes from there on: a slip of the clock at one of them
    does not matter.
    """
    return _most_gain(candidate, other, sorted(candidate, reverse=True))


def faster_until(candidate: Timings, other: Timings) -> int | None:
    """The number of rows up to which `candidate` is to answer in place of `other`; see `faster_from`."""
    return _most_gain(candidate, other, sorted(candidate))


def _most_gain(candidate: Timings, other: Timings, sizes: Sequence[int]) -> int | None:
    gain, best, found = 0.0, 0.0, None
    for size in sizes:
        gain += math.log(other[size] / candidate[size])
        if gain > best:
            best, found = gain, size
    return found


def most_within(timings: Timings, seconds: float) -> int:
    """The number of rows that takes so long, of those measured or between; 0 where one takes longer."""
    if timings[min(timings)] > seconds:
        return 0
    sizes = sorted(timings)
    times = np.maximum.accumulate([timings[size] for size in sizes])  # a slip of the clock is no gain
    return int(np.interp(seconds, times, sizes))
