"""The log lines that a tuning job reads (TRAIN-111)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def print_metrics(prefix: str, values: Mapping[str, float], note: str = "") -> None:
    """One line `<prefix>-rmse:54.1; <prefix>-mae:44.0;` in plain decimals, flushed (TRAIN-79, -111)."""
    pairs = [f"{prefix}-{name}:{plain(value)};" for name, value in values.items()]
    print(" ".join([*pairs, note]).rstrip(), flush=True)


def plain(value: float) -> str:
    """Six significant digits and never an exponent, which the usual regexes do not match."""
    return np.format_float_positional(value, precision=6, unique=False, fractional=False, trim="-")
