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
        is_open_ended: the rows do not say how many columns there are, as sparse text does not: any column
            after the last one is missing in all of them.
    """

    values: NDArray[Any]
    names: tuple[str, ...] | None = None
    is_open_ended: bool = False

    def __len__(self) -> int:
        return int(np.shape(self.values)[0])

    def widened(self, columns: int) -> Table:
        """With missing columns up to so many, where it is open-ended and has fewer."""
        missing = columns - self.values.shape[1]
        if not self.is_open_ended or missing <= 0:
            return self
        return Table(np.pad(self.values, ((0, 0), (0, missing)), constant_values=np.nan), self.names)
