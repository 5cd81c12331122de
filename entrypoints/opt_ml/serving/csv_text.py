"""CSV to a table: a fast path for plain numbers, the csv module for everything else.

Rules (RFC 4180 where it speaks): a field that is a decimal number, `inf` or `nan` is a number, spaces
around it aside; an empty field, and `nan` beside texts, is missing; anything else is text, as sent. A
byte order mark is passed over. Empty lines at the end are passed over; elsewhere an empty line is a
record with one empty field, so that answers stay aligned with records (BATCH-13).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

import numpy as np
import orjson

from opt_ml.errors import RequestError
from opt_ml.serving.charset import to_text
from opt_ml.serving.media import MediaType
from opt_ml.serving.records import narrow, ragged, table_from_rows
from opt_ml.serving.table import Table

PLAIN = b"0123456789+-.eE, \n"
_BOM = b"\xef\xbb\xbf"
# float() alone would also take 1_000 and digits of other scripts, which no CSV writer means as numbers.
_NUMBER = re.compile(
    r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?inf(?:inity)?|nan", re.IGNORECASE
)


def decode_csv(body: bytes, media_type: MediaType) -> Table:
    """The records of a CSV body.

    | parameter | meaning |
    |---|---|
    | `header=present` | the first line holds the names (RFC 4180, section 3); `absent` is the default |
    | `charset` | of the text; utf-8 is the default |
    | `label_size` | so many columns at the left are labels, and passed over; 0 is the default (HOST-58) |

    Raises:
        RequestError: 400 for an empty body, text that is not in the charset, a broken quote, or a row
            of another length than the first, named by row and line.
    """
    parameters = media_type.parameters
    header = parameters.get("header", "absent").lower() if parameters else "absent"
    if header not in ("present", "absent"):
        raise RequestError(400, f"Parameter header={header[:50]!r} of text/csv: use present or absent.")
    table = decode_numbers(body) if header == "absent" else None
    if table is None:
        text = to_text(body.removeprefix(_BOM), parameters.get("charset", "utf-8"))
        table = decode_text(text, has_header=header == "present")
    return _without_labels(table, parameters["label_size"]) if "label_size" in parameters else table


def _without_labels(table: Table, label_size: str) -> Table:
    columns = table.values.shape[1]
    if not (
        label_size.isascii() and label_size.isdigit() and len(label_size) < 10 and int(label_size) < columns
    ):
        raise RequestError(
            400,
            f"Parameter label_size={label_size[:50]!r} of text/csv: say how many of {columns} columns are "
            "labels, 0 where the rows hold features only.",
        )
    size = int(label_size)
    return (
        Table(narrow(table.values[:, size:]), table.names[size:] if table.names else None) if size else table
    )


def decode_numbers(body: bytes) -> Table | None:
    """The fast path: a table where every field is a plain JSON number or empty and no row is ragged.

    Returns:
        None for every other body: the slow path reads it, or names what is wrong with it.
    """
    body = body.replace(b"\r\n", b"\n").removesuffix(b"\n")
    if body.translate(None, PLAIN):
        return None  # also keeps out what JSON would take and CSV would not: null, true, "1", [1]
    lines = body.split(b"\n")
    width = lines[0].count(b",") + 1
    if len(lines) > 1 and any(line.count(b",") + 1 != width for line in lines):
        return None
    numbers = _loads(body)
    if numbers is None and width > 1:
        numbers = _loads(_fill(body))
    if numbers is None or len(numbers) != len(lines) * width:  # 0 for an empty body
        return None
    return Table(np.array(numbers, dtype=np.float64).reshape(len(lines), width))  # None becomes NaN


def _loads(body: bytes) -> list[float | None] | None:
    try:
        numbers: list[float | None] = orjson.loads(b"[%b]" % body.replace(b"\n", b","))
    except orjson.JSONDecodeError:
        return None
    return numbers


def _fill(body: bytes) -> bytes:
    """`body` with null in each empty field of its rows, which have several fields each."""
    body = b"\n%b\n" % body
    for empty, filled in ((b"\n,", b"\nnull,"), (b",\n", b",null\n"), (b",,", b",null,"), (b",,", b",null,")):
        body = body.replace(empty, filled)
    return body[1:-1]


def decode_text(text: str, has_header: bool = False) -> Table:
    """The slow path: any CSV text, by the csv module."""
    rows, lines = _split(text)
    if not rows:
        raise RequestError(400, "The CSV body is empty. Send at least one record.")
    width = len(rows[0])
    for number, (row, line) in enumerate(zip(rows, lines, strict=True), start=1):
        if len(row) != width:
            error = ragged(number, len(row), width)
            raise RequestError(400, f"Line {line}: {error.message}", line=line, **error.details)
    if not has_header:
        return table_from_rows([[_field(text) for text in row] for row in rows])
    if len(rows) == 1:
        raise RequestError(400, "The CSV body holds only a header. Send at least one record.")
    names = _header(rows[0])
    return table_from_rows([[_field(text) for text in row] for row in rows[1:]], names)


def promote_header(table: Table, names: Sequence[str]) -> Table:
    """`table` with its first row as names, where that row consists of exactly `names` in any order.

    Args:
        table: as decoded; returned as it is when it has names already, or is all numbers.
        names: the feature names of the model.

    Raises:
        RequestError: 400 when nothing but the header was sent.
    """
    if table.names is not None or table.values.dtype != object:
        return table
    first = [value.strip() if isinstance(value, str) else value for value in table.values[0]]
    if len(first) != len(names) or set(first) != set(names):
        return table
    if len(table) == 1:
        raise RequestError(400, "The request holds only a header. Send at least one record.")
    return Table(narrow(table.values[1:]), tuple(first))


# The module's own limit of 128 KB guards nothing here: the size of a body is limited before it is read.
csv.field_size_limit(2**31 - 1)


def _split(text: str) -> tuple[list[list[str]], list[int]]:
    """Rows, and the line (from 1) on which each ends."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, lines = [], []
    try:
        for row in reader:
            rows.append(row or [""])
            lines.append(reader.line_num)
    except csv.Error as error:
        raise RequestError(
            400,
            f"Row {len(rows) + 1}, line {reader.line_num}: not valid CSV ({error}). Check its quotes.",
            row=len(rows) + 1,
            line=reader.line_num,
        ) from None
    # In a table of one column an empty line is a missing value, unless nothing else was sent.
    has_one_column = bool(rows) and len(rows[0]) == 1 and any(row[0].strip() for row in rows)
    while rows and not has_one_column and len(rows[-1]) == 1 and not rows[-1][0].strip():
        del rows[-1], lines[-1]
    return rows, lines


def _header(row: Sequence[str]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in row)
    for column, name in enumerate(names, start=1):
        if not name or names.index(name) != column - 1:
            problem = f"repeats the name {name!r}" if name else "has no name"
            raise RequestError(400, f"Column {column} of the CSV header {problem}. Name each column once.")
    return names


def _field(text: str) -> float | str | None:
    bare = text.strip()
    if not bare:
        return None
    return float(bare) if _NUMBER.fullmatch(bare) else text
