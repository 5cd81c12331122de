"""Rows of fields to a `Table`: the one place that decides numbers, text and missing (see Table)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opt_ml.errors import RequestError
from opt_ml.serving.table import Table

MOST_FIELDS = 1 << 25
"""Fields of a table, of 8 bytes each, that may come out of a body which is smaller than they are."""

MOST_OBJECTS = 1 << 22
"""Likewise, where each is a Python object on the way, of several times the memory and the work."""
MOST_ROWS = 1 << 20
"""Rows of such a table: each is a record to predict, and a line of the answer."""

_NUMBERS = frozenset({int, float, bool, type(None)})
_SCALARS = _NUMBERS | {str}


def table_from_rows(rows: Sequence[Sequence[Any]], names: tuple[str, ...] | None = None) -> Table:
    """A table of `rows`; a field is a number, a bool (1.0 or 0.0), a text, or None for missing.

    Raises:
        RequestError: 400 for no rows, no columns, a row of another length than the first, or a field
            that is a list or an object.
    """
    if not rows:
        raise RequestError(400, "The request holds no record. Send at least one.")
    check_widths(rows, len(names) if names is not None else len(rows[0]))
    if not rows[0]:
        raise RequestError(400, "Row 1 has no field. Send one field a column.", row=1)
    kinds = {type(value) for row in rows for value in row}
    if not kinds <= _SCALARS:
        raise _nested(rows, names)
    if kinds <= _NUMBERS:
        return Table(np.array(rows, dtype=np.float64), names)  # None becomes NaN
    values = np.empty((len(rows), len(rows[0])), dtype=object)
    for index, row in enumerate(rows):
        values[index] = [_field(value) for value in row]
    return Table(values, names)


def narrow(values: NDArray[Any]) -> NDArray[Any]:
    """Fields of object dtype as float64 where all are numbers or missing, else as they are."""
    if values.dtype != object or any(isinstance(value, str) for value in values.flat):
        return values
    return values.astype(np.float64)


def check_widths(rows: Sequence[Sequence[Any]], width: int) -> None:
    """Raise a RequestError that names the first row whose number of fields is not `width`."""
    for number, row in enumerate(rows, start=1):
        if len(row) != width:
            raise ragged(number, len(row), width)


def check_size(rows: int, columns: int, sent: int, most: int = MOST_FIELDS) -> None:
    """Before the memory is taken: a few bytes of sparse or packed data can stand for any number of fields.

    Args:
        rows: of the table to come.
        columns: likewise.
        sent: how many fields the request spells out at most, such as its size in bytes.
        most: MOST_FIELDS, or MOST_OBJECTS.

    Raises:
        RequestError: 413 for more fields than `sent` and `most`, or more rows than `sent` and MOST_ROWS.
    """
    most, most_rows = max(most, sent), max(MOST_ROWS, sent)
    if rows * columns > most or rows > most_rows:
        raise RequestError(
            413,
            f"The request stands for {rows} rows of {columns} columns, but at most {most} fields in "
            f"{most_rows} rows are taken. Send fewer rows, or number the columns without gaps.",
            rows=rows,
            columns=columns,
        )


def ragged(row: int, found: int, expected: int) -> RequestError:
    """The error for row `row` (from 1) with `found` fields in place of `expected`."""
    return RequestError(
        400,
        f"Row {row} has {found} fields, but {expected} are expected. Send the same columns in every row.",
        row=row,
        column=min(found, expected) + 1,
    )


def _field(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    number = float(value)
    return None if number != number else number


def _nested(rows: Sequence[Sequence[Any]], names: tuple[str, ...] | None) -> RequestError:
    for row_number, row in enumerate(rows, start=1):
        for column_number, value in enumerate(row, start=1):
            if type(value) not in _SCALARS:
                column = f"{column_number} ({names[column_number - 1]!r})" if names else str(column_number)
                kind = "JSON object" if isinstance(value, dict) else type(value).__name__
                return RequestError(
                    400,
                    f"Row {row_number}, column {column} holds a {kind}. A field is a number, a text or null.",
                    row=row_number,
                    column=column_number,
                )
    raise AssertionError("called with scalar fields only")
