"""What a model was trained on: the columns, the label, the task; and how a table becomes a matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from opt_ml.tables.request import Expected

Matrix = NDArray[np.float32]
Task = Literal["regression", "binary", "multiclass"]


@dataclass(frozen=True)
class Feature:
    """One column of a request.

    Attributes:
        name: its name; `column_<position>` where the training files had none.
        kind: `number`, `category`, or `unused` (read and then left out).
        categories: of a category: its values in training, the most frequent first. Position = code.
        note: of an unused column: why.
    """

    name: str
    kind: Literal["number", "category", "unused"]
    categories: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Schema:
    """The columns of a request in training order, the label and the task.

    Attributes:
        features: every column but label and weight, unused ones included.
        classes: of a classification: the labels in the order of the probabilities; the last of two is
            the positive one.
        named: False where the training files had no column names.
    """

    features: tuple[Feature, ...]
    label: str
    task: Task
    classes: tuple[str | int | float, ...] = ()
    weight: str | None = None
    named: bool = True

    @cached_property
    def expected(self) -> Expected:
        """What a request must bring; made once, because each request needs it."""
        features = tuple(feature.name for feature in self.features)
        used = tuple(feature.name for feature in self.used)
        return Expected(features, used, self.label, self.weight, self.named)

    @property
    def used(self) -> tuple[Feature, ...]:
        """The columns of the matrix, in order."""
        return tuple(feature for feature in self.features if feature.kind != "unused")

    @property
    def categorical(self) -> tuple[int, ...]:
        """Positions of the categories among the columns of the matrix."""
        return tuple(position for position, feature in enumerate(self.used) if feature.kind == "category")

    def to_json(self) -> dict[str, Any]:
        """Plain lists and texts, as they stand in model.json."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Schema:
        """The schema back from `to_json`."""
        features = tuple(
            Feature(**{**feature, "categories": tuple(feature["categories"])})
            for feature in content["features"]
        )
        return cls(**{**content, "features": features, "classes": tuple(content["classes"])})


@dataclass(frozen=True)
class Data:
    """Rows that a model can train on or be measured on.

    Attributes:
        matrix: shape (rows, used columns), float32; category codes as numbers, NaN where missing.
        label: shape (rows,): float64 values, or the int64 codes of classes.
        weight: shape (rows,), float64, or None for equal weights.
    """

    matrix: Matrix
    label: NDArray[Any]
    weight: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: NDArray[np.intp]) -> Data:
        """Those rows only."""
        return Data(self.matrix[rows], self.label[rows], None if self.weight is None else self.weight[rows])


def category_codes(
    values: Sequence[str | None] | NDArray[Any], categories: tuple[str, ...]
) -> NDArray[np.float32]:
    """Codes of category texts; NaN for a missing or never seen one."""
    code = {text: float(position) for position, text in enumerate(categories)}
    found = (np.nan if value is None else code.get(value, np.nan) for value in values)
    return np.fromiter(found, np.float32, len(values))


def finite_float32(values: NDArray[Any]) -> Matrix:
    """float32, the precision all tree libraries work in; an infinite value counts as missing."""
    with np.errstate(over="ignore"):
        matrix = np.ascontiguousarray(values, dtype=np.float32)
    infinite = np.isinf(matrix)
    if infinite.any():
        matrix = np.where(infinite, np.float32(np.nan), matrix)
    return matrix
