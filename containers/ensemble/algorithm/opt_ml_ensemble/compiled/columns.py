"""The columns that compiled trees split on: those of the matrix, then derived ones.

What a model asks of a category (is it one of these? what is its target statistic?) is a function of its
code, and so becomes a number that is looked up by the code. A statistic of several columns together is
looked up by a number that is made of all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opt_ml_ensemble.compiled.scores import NotCompilable

MOST_CELLS = 2_000_000  # of all tables: 8 MB


@dataclass(frozen=True)
class Element:
    """One of the columns that a combination is made of.

    Attributes:
        position: of the column in the matrix.
        border: of a column of numbers: the element is 1 where the value is above, else 0. None for a
            category, whose element is its code.
        missing: the element of a NaN.
    """

    position: int
    border: float | None
    missing: int


@dataclass(frozen=True)
class Combination:
    """A number looked up by several columns: `values[sum(element * stride)]`.

    Attributes:
        elements: the columns.
        strides: as many.
        values: float32.
    """

    elements: tuple[Element, ...]
    strides: tuple[int, ...]
    values: NDArray[np.float32]


@dataclass
class Columns:
    """The columns of the matrix have the numbers 0 to n_features - 1, derived ones follow.

    Attributes:
        n_features: columns of the matrix.
        n_codes: by position of a column of categories, how many codes it has. A missing category counts as
            the code after the last one.
        by_code: by the same position, the tables of its derived columns, each of shape (codes + 1,).
        combinations: the derived columns of several columns.
    """

    n_features: int
    n_codes: Mapping[int, int]
    by_code: dict[int, list[NDArray[np.float32]]] = field(default_factory=dict)
    combinations: list[Combination] = field(default_factory=list)
    _places: list[tuple[int | None, int]] = field(default_factory=list)
    _numbers: dict[tuple[int, bytes], int] = field(default_factory=dict)
    _cells: int = 0

    def of_codes(self, position: int, values: NDArray[Any]) -> int:
        """The number of the column that holds `values[code]`; the same one for the same values.

        Raises:
            NotCompilable: too large a table.
        """
        table = np.asarray(values, dtype=np.float32)
        key = (position, table.tobytes())
        if key not in self._numbers:
            tables = self.by_code.setdefault(position, [])
            self._numbers[key] = self._add((position, len(tables)), len(table))
            tables.append(table)
        return self._numbers[key]

    def of_combination(self, combination: Combination) -> int:
        """The number of the column that a combination makes.

        Raises:
            NotCompilable: too large a table.
        """
        number = self._add((None, len(self.combinations)), len(combination.values))
        self.combinations.append(combination)
        return number

    def _add(self, place: tuple[int | None, int], cells: int) -> int:
        self._cells += cells
        if self._cells > MOST_CELLS:
            raise NotCompilable(f"what it asks of categories needs tables of more than {MOST_CELLS} cells")
        self._places.append(place)
        return self.n_features + len(self._places) - 1

    @property
    def order(self) -> NDArray[np.int64]:
        """By number, the position among all columns: the matrix, `by_code` column by column, combinations."""
        starts: dict[int | None, int] = {}
        position = self.n_features
        for source, tables in self.by_code.items():
            starts[source] = position
            position += len(tables)
        starts[None] = position
        derived = [starts[source] + index for source, index in self._places]
        return np.array([*range(self.n_features), *derived], dtype=np.int64)
