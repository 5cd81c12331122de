"""CSV to a table: fast paths for plain numbers and for plain columns, the csv module for everything else.

Rules (RFC 4180 where it speaks): a field that is a decimal number, `inf` or `nan` is a number, spaces
around it aside; an empty field, and `nan` beside texts, is missing; anything else is text, as sent. A
byte order mark is passed over. Empty lines at the end are passed over; elsewhere an empty line is a
record with one empty field, so that answers stay aligned with records (BATCH-13).
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Sequence

import numpy as np
import orjson

from opt_ml.errors import RequestError
from opt_ml.serving.codecs.charset import check_charset, to_text
from opt_ml.serving.codecs.csv_columns import read_columns
from opt_ml.serving.codecs.csv_rows import read_table
from opt_ml.serving.codecs.records import narrow
from opt_ml.serving.media import MediaType
from opt_ml.serving.table import Table

PLAIN = b"0123456789+-.eE, \n"
_BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 22  # bytes of numbers that are read at once: a Python object each takes five times as much


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
        charset = parameters.get("charset", "utf-8")
        table = decode_text(body.removeprefix(_BOM), charset, has_header=header == "present")
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
    if len(body) > _BLOCK:
        return _decode_blocks(body)
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


def _decode_blocks(body: bytes) -> Table | None:
    """`decode_numbers` of a large body, in blocks of whole lines."""
    rows = body.count(b"\n") + (not body.endswith(b"\n"))
    start = filled = 0
    values = np.empty((0, 0))
    while start < len(body):
        end = body.find(b"\n", start + _BLOCK // 2) + 1 or len(body)
        table = decode_numbers(body[start:end]) if end - start <= _BLOCK else None
        if table is None:
            return None
        width = table.values.shape[1]
        if not filled and rows * width <= len(body) + 1:  # each field takes a byte, if only of a comma
            values = np.empty((rows, width))
        if width != values.shape[1]:
            return None
        values[filled : filled + len(table)] = table.values
        start, filled = end, filled + len(table)
    return Table(values)


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


def decode_text(body: bytes, charset: str = "utf-8", has_header: bool = False) -> Table:
    """Any CSV text: by columns where it is simple, else by the csv module."""
    check_charset(charset)
    if codecs.lookup(charset).name != "utf-8":  # others need not mean the same when they are read in parts
        return read_table(io.StringIO(to_text(body, charset), newline=""), has_header)
    table = None if has_header else read_columns(body)
    if table is not None:
        return table
    try:
        return read_table(io.TextIOWrapper(io.BytesIO(body), charset, newline=""), has_header)
    except UnicodeError:
        to_text(body, charset)  # says where
        raise


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
