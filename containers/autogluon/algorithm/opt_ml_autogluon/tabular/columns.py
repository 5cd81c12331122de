"""The columns of the training, and the data frames that AutoGluon gets: of a channel, and of requests.

AutoGluon finds out what a column is from the values that it sees, so both must write a value in one way: a
number is a float64, anything else a text as `opt_ml.tables.text.category` writes it, missing is NaN or None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from opt_ml.errors import RequestError, UserError
from opt_ml.serving.table import Table
from opt_ml.tables.files import Rows, as_categories, as_numbers
from opt_ml.tables.request import Expected, numbers
from opt_ml.tables.text import category
from opt_ml.training.table_columns import lacks_column, numbers_as_trained


@dataclass(frozen=True)
class Column:
    """One feature.

    Attributes:
        name: its name; `column_<position>` where the training files had none.
        kind: `number`, or `text` (which AutoGluon takes as a category, a date or prose).
    """

    name: str
    kind: Literal["number", "text"]


class Values(NamedTuple):
    """The rows of one request: shape (rows, columns of numbers) and (rows, columns of text)."""

    numbers: NDArray[np.float64]
    texts: NDArray[np.object_]

    def part(self, rows: slice | NDArray[np.int64]) -> Values:
        """Some of the rows."""
        return Values(self.numbers[rows], self.texts[rows])


@dataclass(frozen=True)
class Columns:
    """All columns of the training files.

    Attributes:
        features: every column but label and weight, in their order.
        named: False where the training files had no column names.
    """

    features: tuple[Column, ...]
    label: str
    weight: str | None = None
    named: bool = True

    @cached_property
    def expected(self) -> Expected:
        """What a request must bring."""
        names = tuple(feature.name for feature in self.features)
        return Expected(names, names, self.label, self.weight, self.named)

    def of_kind(self, kind: str) -> list[str]:
        """The names of the features of one kind."""
        return [feature.name for feature in self.features if feature.kind == kind]

    def values(self, table: Table) -> Values:
        """The rows of a request.

        Raises:
            RequestError: 400 for a missing feature, a wrong number of columns, or text in a column of
                numbers, with row and column.
        """
        table, positions = self.expected.match(table)
        found: dict[str, list[NDArray[Any]]] = {"number": [], "text": []}
        for position, feature in zip(positions, self.features, strict=True):
            column = table.values[:, position]
            if feature.kind == "text":
                values = column.tolist()
                texts = {value: category(value) for value in dict.fromkeys(values)}
                column = np.array([texts[value] for value in values], dtype=object)
            elif column.dtype == object:
                column = numbers(column, feature.name, position)
            found[feature.kind].append(column)
        rows = len(table)
        return Values(
            np.column_stack(found["number"]) if found["number"] else np.empty((rows, 0)),
            np.column_stack(found["text"]) if found["text"] else np.empty((rows, 0), dtype=object),
        )

    def joined_values(self, tables: Sequence[Table]) -> list[Values] | None:
        """The rows of several requests, read together: one of a single row costs as much as one of many.

        Returns:
            None where they are not alike, or one of them does not fit; `values` then says of each what it is.
        """
        width = len(self.features)
        # A header among the rows is found out by a column of numbers only.
        if not self.of_kind("number") or any(
            table.names is not None or table.is_open_ended or table.values.shape[1] != width
            for table in tables
        ):
            return None
        try:
            every = self.values(Table(np.concatenate([table.values for table in tables])))
        except RequestError:
            return None
        sizes = [len(table) for table in tables]
        if len(every.numbers) != sum(sizes):  # the first row was a header
            return None
        ends = np.cumsum(sizes)[:-1]
        parts = (np.split(every.numbers, ends), np.split(every.texts, ends))
        return [Values(*part) for part in zip(*parts, strict=True)]

    def frame(self, values: Values) -> pd.DataFrame:
        """Rows of requests as AutoGluon gets them."""
        every = values.numbers
        frame = pd.DataFrame(np.where(np.isinf(every), np.nan, every), columns=self.of_kind("number"))
        for position, name in enumerate(self.of_kind("text")):
            frame[name] = values.texts[:, position]
        return frame

    def to_json(self) -> dict[str, Any]:
        """Plain lists and texts, as they stand in model.json."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Columns:
        """The columns back from `to_json`."""
        return cls(**{**content, "features": tuple(Column(**feature) for feature in content["features"])})


def find_columns(rows: Rows, label: str, weight: str | None) -> Columns:
    """The kind of every column of the train channel.

    Raises:
        UserError: no column that could tell anything.
    """
    features = tuple(
        Column(name, "number" if as_numbers(rows.frame[name])[1] is None else "text")
        for name in rows.frame.columns
        if name not in (label, weight)
    )
    if not any(rows.frame[feature.name].nunique(dropna=False) > 1 for feature in features):
        found = ", ".join(feature.name for feature in features[:10]) or "none but the label"
        raise UserError(
            f"No column of the train channel tells anything about the label {label!r}: every other one "
            f"has the same value in all rows ({found}). Add columns that differ."
        )
    return Columns(features, label, weight, rows.named)


def feature_frame(rows: Rows, columns: Columns) -> pd.DataFrame:
    """The features of a channel as AutoGluon gets them.

    Raises:
        UserError: a missing column, or text where the train channel had numbers, with file and line.
    """
    made = {}
    for feature in columns.features:
        if feature.name not in rows.frame:
            raise lacks_column(rows, feature.name)
        column = rows.frame[feature.name]
        if feature.kind == "text":
            made[feature.name] = as_categories(column)
            continue
        values = numbers_as_trained(rows, feature.name)
        made[feature.name] = pd.Series(np.where(np.isinf(values), np.nan, values))
    return pd.DataFrame(made)
