"""What a model adds up for a row: trees, constants and linear terms, those of each library in one form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

MOST_NODES = 1_000_000  # of all models: 35 MB of graph, and 170 MB in each process that holds it

LEAF = -1
Link = Literal["identity", "sigmoid", "softmax"]


class NotCompilable(Exception):  # noqa: N818 - a finding, not a failure
    """A model that cannot be compiled; the text says why."""


@dataclass(frozen=True)
class Tree:
    """One decision tree. A row goes left where `row[feature] <= threshold`, from node 0 on.

    Attributes:
        feature: shape (nodes,), a number of `columns.Columns`; LEAF at a leaf.
        threshold: shape (nodes,), float32: every library here compares float32 values.
        missing_left: shape (nodes,), whether a NaN goes left.
        left, right: shape (nodes,), positions of the children.
        value: shape (nodes, outputs); what a leaf adds to the columns of the scores from `column` on.
        column: see `value`.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float32]
    missing_left: NDArray[np.bool_]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: NDArray[np.float64]
    column: int = 0

    def __len__(self) -> int:
        return len(self.feature)


@dataclass(frozen=True)
class LinearTerm:
    """`(where(isnan(row), fill, row)[columns] - centre) @ coefficients`, in float64.

    Attributes:
        columns: numbers of `columns.Columns`.
        fill, centre: shape (columns,).
        coefficients: shape (columns, width).
    """

    columns: tuple[int, ...]
    fill: NDArray[np.float64]
    centre: NDArray[np.float64]
    coefficients: NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """One model: `link(constant + trees + linear)`.

    Attributes:
        trees: their leaves add up.
        constant: shape (width,).
        link: `sigmoid` takes one column, and answers with the classes 1 - p and p.
        linear: of a linear model, else None.
        classes: of a classification: the codes of the classes, in the order of the model's own outputs.
    """

    trees: Sequence[Tree]
    constant: NDArray[np.float64]
    link: Link = "identity"
    linear: LinearTerm | None = None
    classes: tuple[int, ...] = ()

    @property
    def width(self) -> int:
        """Columns of the scores."""
        return len(self.constant)

    @property
    def nodes(self) -> int:
        """Nodes of all trees."""
        return sum(map(len, self.trees))


def round_down(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 values that are not above: `x <= t` stays the same for every float32 x."""
    with np.errstate(over="ignore"):
        rounded = thresholds.astype(np.float32)
    return np.where(rounded > thresholds, np.nextafter(rounded, np.float32(-np.inf)), rounded)
