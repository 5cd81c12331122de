"""When a compiled prediction counts as equal to the native one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PROBABILITY = 1e-5
OF_SCALE = 1e-5
OF_VALUE = 2.5e-7  # two steps of float32, in which XGBoost answers


def difference(compiled: NDArray[np.float64], native: NDArray[np.float64], scale: float) -> tuple[float, int]:
    """How far two predictions are apart, and in which row; at most 1 counts as equal.

    Probabilities may differ by PROBABILITY; values by OF_SCALE of the predictions' standard deviation and
    OF_VALUE of themselves. The sums of hundreds of float32 leaves differ by their order alone.

    Args:
        compiled: shape (n,) or (n, classes).
        native: of the same rows.
        scale: standard deviation of the predictions for rows as they are in training.
    """
    if compiled.shape != native.shape:
        return float("inf"), 0
    allowed = PROBABILITY if native.ndim == 2 else OF_SCALE * scale + OF_VALUE * np.abs(native)
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.abs(compiled - native) / np.maximum(allowed, np.finfo(np.float64).tiny)
    apart = np.where(compiled == native, 0.0, apart)
    by_row = np.nan_to_num(apart.reshape(len(apart), -1).max(axis=1), nan=np.inf)
    worst = int(by_row.argmax())
    return float(by_row[worst]), worst
