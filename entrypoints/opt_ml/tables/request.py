"""A request's table against the columns of the training: which column is where, or a 400."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opt_ml.errors import RequestError
from opt_ml.nearest import nearest
from opt_ml.serving.codecs import promote_header
from opt_ml.serving.table import Table
from opt_ml.tables.text import number


@dataclass(frozen=True)
class Expected:
    """The columns that a model was trained on.

    Attributes:
        features: every column of the training files but label and weight, in their order.
        used: those of them that the model takes, in the same order.
        label, weight: the other columns of the training files.
        named: False where the training files had no column names.
    """

    features: tuple[str, ...]
    used: tuple[str, ...]
    label: str
    weight: str | None = None
    named: bool = True

    def match(self, table: Table) -> tuple[Table, list[int]]:
        """The table without a header row, and for each used column its position there.

        Named columns come in any order; others than the features (the label, an id) are passed over.
        Columns without names come in training order, those that training did not use included; in an
        open-ended table the last ones may be absent.

        Raises:
            RequestError: 400 for a missing feature or a wrong number of columns.
        """
        for names in self._headers():
            table = promote_header(table, names)
        table = table.widened(len(self.features))
        return table, self._positions(table)

    def _headers(self) -> Iterator[Sequence[str]]:
        """The first lines that count as a header: the features, those in use, or the whole training file."""
        yield self.features
        if len(self.used) < len(self.features):
            yield self.used
        yield (*self.features, self.label)
        if self.weight:
            yield (*self.features, self.label, self.weight)

    def _positions(self, table: Table) -> list[int]:
        width = table.values.shape[1]
        names = table.names
        if names is not None and (self.named or set(names) & set(self.features)):
            at = {name: position for position, name in enumerate(names)}
            for name in self.used:
                if name not in at:
                    raise _missing_feature(name, [name for name in names if name not in self.features])
            return [at[name] for name in self.used]
        if width != len(self.features):
            raise self._wrong_width(table)
        used = set(self.used)
        return [position for position, name in enumerate(self.features) if name in used]

    def _wrong_width(self, table: Table) -> RequestError:
        width, expected = table.values.shape[1], len(self.features)
        shown = ", ".join(self.features[:20]) + (", ..." if expected > 20 else "")
        hint = f" Leave the label {self.label!r} out." if width == expected + 1 else ""
        if width == 1 and any(separator in str(table.values[0, 0]) for separator in ";\t|"):
            hint = " Separate the fields of a request by commas."
        return RequestError(
            400,
            f"The request has {width} column{'s' * (width != 1)}, but the model expects {expected}: "
            f"{shown}.{hint}",
            expected=expected,
            got=width,
        )


def numbers(values: NDArray[np.object_], name: str, position: int) -> NDArray[np.float64]:
    """The numbers of one column of a request; NaN where one is missing.

    Args:
        values: shape (rows,).
        name: of the feature, for the error.
        position: of the column in the request, from 0.

    Raises:
        RequestError: 400 for a text, with row and column.
    """
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError):
        pass  # a missing value, a truth value as a text, or no number
    found = np.empty(len(values))
    for row, value in enumerate(values):
        parsed = number(value)
        if parsed is None:
            raise RequestError(
                400,
                f"Row {row + 1}, column {position + 1} ({name!r}) holds {str(value)[:100]!r}, but "
                "the model was trained on numbers there. Send a number, or nothing where it is unknown.",
                row=row + 1,
                column=position + 1,
            )
        found[row] = parsed
    return found


def _missing_feature(name: str, unclaimed: Sequence[str]) -> RequestError:
    """`unclaimed`: the names in the request that are no feature's own."""
    hint = nearest(name, unclaimed)
    return RequestError(
        400,
        f"The request has no column {name!r}, which the model needs.{hint} Send it, or null where unknown.",
        column=name,
    )
