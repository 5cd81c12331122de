"""CSV as people write it: with or without header, four delimiters, gzip, ragged rows found by line."""

from __future__ import annotations

import bisect
import io
import itertools
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from opt_ml.errors import UserError
from opt_ml.tables.blocks import Block, Passing, count_lines, find_delimiter, read_blocks
from opt_ml.tables.text import MISSING, number, shown

DELIMITERS = ",\t;|"
SAMPLED_ROWS = 100


@dataclass
class Lines:
    """On which line of its file each row ends.

    Nearly every row is one line below the one before; only the blocks where it is not cost memory.
    """

    _starts: list[int] = field(default_factory=list)
    _lines: list[int | NDArray[np.int64]] = field(default_factory=list)
    rows: int = 0

    def add(self, rows: int, lines: int | NDArray[np.int64]) -> None:
        """So many further rows: the line of the first one, or of each."""
        self._starts.append(self.rows)
        self._lines.append(lines)
        self.rows += rows

    def of(self, row: int) -> int:
        """The line, from 1, on which a row, from 0, ends."""
        block = bisect.bisect_right(self._starts, row) - 1
        lines, inside = self._lines[block], row - self._starts[block]
        return lines + inside if isinstance(lines, int) else int(lines[min(inside, len(lines) - 1)])


@dataclass(frozen=True)
class Csv:
    """What was read of one CSV file.

    Attributes:
        parts: its rows, in order; the columns are numbered from 0.
        names: the fields of its first record where that is a header, or None.
        width: fields of its first record.
    """

    parts: list[pd.DataFrame]
    names: tuple[str, ...] | None
    width: int
    lines: Lines


@dataclass(frozen=True)
class _Layout:
    delimiter: str
    names: tuple[str, ...] | None
    width: int
    header_lines: int  # physical lines up to the end of the header; a line break in a name is one more
    header: bytes  # the header as it stands, without its line end


def read_csv(stream: Passing, path: Path, header: str, label: str | None, several: bool = False) -> Csv:
    """Read a file once, from its start to its end.

    Args:
        stream: the file.
        path: its name, for the errors.
        header: `true`, `false`, or `auto` to find out.
        label: the name of the label column where the job gave one: a first record that holds it is a header.
        several: there may be several files, one after the other, in the stream; each may have the header.

    Raises:
        UserError: no UTF-8 text, no record, or a record with more or fewer fields than the first one, with
            its line.
    """
    layout: _Layout | None = None
    parts: list[pd.DataFrame] = []
    lines = Lines()
    for block in read_blocks(stream, path, DELIMITERS):
        if layout is None:
            layout = _find_layout(block, path, header, label, several)
            if layout is None:
                continue
            block = _below(block, layout)
        if several and layout.names:
            block = Block(_without(layout.header, block.content), block.lines_before)
        part = _read_block(block, layout, path, lines)
        if part is not None:
            parts.append(part)
    if layout is None:
        raise UserError(f"{shown(path)} has no record, only blank lines. Put rows into it, or take it out.")
    empty = pd.DataFrame(columns=range(layout.width), dtype=float)
    return Csv(parts or [empty], layout.names, layout.width, lines)


def _find_layout(block: Block, path: Path, header: str, label: str | None, several: bool) -> _Layout | None:
    """How a file is written, from its first records; None where there are only blank lines so far."""
    delimiter = find_delimiter(block.content, DELIMITERS)
    records = list(itertools.islice(block.records(delimiter, path), SAMPLED_ROWS + 1))
    if not records:
        return None
    line, names = records[0]
    fields = [name.strip() for name in names]
    rest = [record for _, record in records[1:] if len(record) == len(fields)]
    if several:  # a header that comes again tells nothing about the columns below it
        rest = [record for record in rest if record != names]
    if not (header == "true" or (header == "auto" and _is_header(fields, rest, label))):
        return _Layout(delimiter, None, len(fields), 0, b"")
    text = io.TextIOWrapper(io.BytesIO(block.content), encoding="utf-8", newline="")
    written = "".join(itertools.islice(text, line - block.lines_before)).encode()
    return _Layout(delimiter, tuple(fields), len(fields), line - block.lines_before, written.strip(b"\r\n"))


def _is_header(fields: list[str], rest: list[list[str]], label: str | None) -> bool:
    if label is not None and label in fields:
        return True
    kinds = [number(field) for field in fields]
    if not fields or any(kind is not None for kind in kinds):
        return False  # names are texts: a number or an empty field among them is data
    columns = list(zip(*rest, strict=True))
    if not columns:
        return True
    if any(all(number(value) is not None for value in column) for column in columns):
        return True
    # Text everywhere: a name does not come back as a value of its own column.
    return all(field not in column for field, column in zip(fields, columns, strict=True))


def _below(block: Block, layout: _Layout) -> Block:
    """The block without its header."""
    # Not `skiprows`: it counts records, and takes quotes for something else than the csv module.
    text = io.TextIOWrapper(io.BytesIO(block.content), encoding="utf-8", newline="")
    header = "".join(itertools.islice(text, layout.header_lines))
    return Block(block.content[len(header.encode()) :], block.lines_before + layout.header_lines)


def _without(header: bytes, content: bytes) -> bytes:
    """Blank lines where further files of one stream repeat the header, so that lines are counted right."""
    if header not in content:
        return content
    line = rb"(?:\A|(?<=[\r\n]))(?:\xef\xbb\xbf)?" + re.escape(header) + rb"(?=[\r\n]|\Z)"
    return re.sub(line, b"\n" * count_lines(header), content)


def _read_block(block: Block, layout: _Layout, path: Path, lines: Lines) -> pd.DataFrame | None:
    if not block.content.strip() or next(block.records(layout.delimiter, path), None) is None:
        return None
    try:
        frame = pd.read_csv(
            io.BytesIO(block.content),
            sep=layout.delimiter,
            header=None,
            names=None,
            low_memory=False,
            na_values=list(MISSING),
            keep_default_na=False,
            skipinitialspace=True,
        )
    except pd.errors.ParserError as error:
        _refuse_ragged(block, layout, path)
        raise UserError(f"{shown(path)} is not valid CSV: {str(error).strip()}") from None
    # pandas pads a short record without a word, so the last column tells where to look.
    if frame.shape[1] != layout.width or frame.iloc[:, -1].isna().any():
        _refuse_ragged(block, layout, path)
    lines.add(len(frame), _lines_of(block, layout, path, len(frame)))
    return frame


def _lines_of(block: Block, layout: _Layout, path: Path, rows: int) -> int | NDArray[np.int64]:
    open_end = not block.content.endswith((b"\n", b"\r"))
    if count_lines(block.content) + open_end == rows:
        return block.lines_before + 1
    ends: Any = (line for line, _ in block.records(layout.delimiter, path))
    return np.fromiter(ends, np.int64)


def _refuse_ragged(block: Block, layout: _Layout, path: Path) -> None:
    for line, record in block.records(layout.delimiter, path):
        if len(record) != layout.width:
            raise UserError(
                f"{shown(path)} line {line} has {len(record)} fields, but the first line has {layout.width}. "
                "Give every row the same number of fields."
            )
