"""Any CSV text to a table, by the csv module; row by row, so that only the table itself is held in memory."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opt_ml.errors import RequestError
from opt_ml.serving.codecs.records import ragged
from opt_ml.serving.table import Table

# float() alone would also take 1_000 and digits of other scripts, which no CSV writer means as numbers.
_NUMBER = re.compile(
    r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?inf(?:inity)?", re.IGNORECASE
)
_BLOCK = 4096  # rows that are put into an array at once
_MOST_KNOWN = 1 << 16  # different fields that are remembered

Field = float | str | None

# The module's own limit of 128 KB guards nothing here: the size of a body is limited before it is read.
csv.field_size_limit(2**31 - 1)


def read_table(lines: Iterable[str], has_header: bool) -> Table:
    """The table of a CSV text.

    Args:
        lines: the text, cut after its line ends.
        has_header: the first row holds the names.

    Raises:
        RequestError: 400 for no record, a broken quote, a name that is missing or repeated, or a row of
            another length than the first, by row and line.
    """
    width = 0
    names: tuple[str, ...] | None = None
    fields = Fields()
    blocks: list[NDArray[Any]] = []
    block: list[list[Field]] = []
    for number, line, row in _rows(lines):
        if number == 1:
            width = len(row)
            if has_header:
                names = _header(row)
                continue
        elif len(row) != width:
            error = ragged(number, len(row), width)
            raise RequestError(400, f"Line {line}: {error.message}", line=line, **error.details)
        block.append([fields[text] for text in row])
        if len(block) == _BLOCK:
            blocks.append(block_array(block))
            block = []
    if block:
        blocks.append(block_array(block))
    if not blocks:
        what = "holds only a header" if names else "is empty"
        raise RequestError(400, f"The CSV body {what}. Send at least one record.")
    return Table(_joined(blocks), names)


class Fields(dict[str, Field]):
    """What a field means, by its text. Most tables say the same few things again and again."""

    def __missing__(self, text: str) -> Field:
        value = _field(text)
        if len(self) < _MOST_KNOWN:
            self[text] = value
        return value


def _field(text: str) -> Field:
    bare = text.strip()
    if not bare or bare.lower() == "nan":
        return None
    return float(bare) if _NUMBER.fullmatch(bare) else text


def block_array(block: list[list[Field]]) -> NDArray[Any]:
    """Rows of one length as float64, or as object where one holds a text."""
    if not any(type(value) is str for row in block for value in row):
        return np.array(block, dtype=np.float64)  # None becomes NaN
    array = np.empty((len(block), len(block[0])), dtype=object)
    array[:] = block
    return array


def _joined(blocks: list[NDArray[Any]]) -> NDArray[Any]:
    if len(blocks) == 1:
        return blocks[0]
    if any(block.dtype == object for block in blocks):
        blocks = [_as_objects(block) for block in blocks]
    return np.concatenate(blocks)


def _as_objects(block: NDArray[Any]) -> NDArray[Any]:
    if block.dtype == object:
        return block
    objects = block.astype(object)
    objects[np.isnan(block)] = None
    return objects


def _rows(lines: Iterable[str]) -> Iterator[tuple[int, int, list[str]]]:
    """Each row with its number and the line on which it ends, both from 1.

    Empty lines at the end are passed over. In a table of one column an empty line is a missing value,
    unless nothing else was sent.
    """
    reader = csv.reader(lines, strict=True)
    number = width = 0
    blank: tuple[int, int] | None = None  # the first of several empty lines, which may be the end
    held = 0
    try:
        for number, row in enumerate(reader, start=1):
            width = width or len(row) or 1
            if len(row) <= 1 and not (row and row[0].strip()):
                blank = blank or (number, reader.line_num)
                held += 1
                continue
            if blank is not None:
                yield from _blanks(blank, held if width == 1 else 1)
                blank, held = None, 0
            yield number, reader.line_num, row
    except csv.Error as error:
        raise RequestError(
            400,
            f"Row {number + 1}, line {reader.line_num}: not valid CSV ({error}). Check its quotes.",
            row=number + 1,
            line=reader.line_num,
        ) from None
    if width == 1 and number > held and blank is not None:
        yield from _blanks(blank, held)


def _blanks(first: tuple[int, int], count: int) -> Iterator[tuple[int, int, list[str]]]:
    for step in range(count):
        yield first[0] + step, first[1] + step, [""]


def _header(row: Sequence[str]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in row)
    known = set()
    for column, name in enumerate(names, start=1):
        if not name or name in known:
            problem = f"repeats the name {name!r}" if name else "has no name"
            raise RequestError(400, f"Column {column} of the CSV header {problem}. Name each column once.")
        known.add(name)
    return names
