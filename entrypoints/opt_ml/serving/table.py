"""The one shape in which a request's records reach a tabular handler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Table:
    """Records of one request, in order.

    Attributes:
        values: shape (rows, columns). float64 when every field is a number or missing (NaN); otherwise
            object, with a float, a str or None (missing) in each field, exactly as the client sent it.
        names: column names where the request gave them (JSON records and columns, Parquet, a CSV
            header), else None: the columns are then in training order.
    """

    values: NDArray[Any]
    names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return int(np.shape(self.values)[0])
