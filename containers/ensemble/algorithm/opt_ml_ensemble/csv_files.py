"""CSV as people write it: with or without header, four delimiters, gzip, ragged rows found by line."""

from __future__ import annotations

import csv
import gzip
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pandas as pd
from opt_ml.errors import UserError

from opt_ml_ensemble.text import MISSING, number, shown

DELIMITERS = (",", "\t", ";", "|")
SAMPLED_ROWS = 100


@dataclass(frozen=True)
class Layout:
    """How one CSV file is written.

    Attributes:
        delimiter: one of DELIMITERS.
        header: the column names of its first record, or None where that is data.
        width: fields of its first record.
        first_line: physical lines before the first data record; a line break in a name is one more.
    """

    delimiter: str
    header: tuple[str, ...] | None
    width: int
    first_line: int


def find_layout(path: Path, header: str, label: str | None) -> Layout:
    """Read the first records of a file and judge how it is written.

    Args:
        path: the file.
        header: `true`, `false`, or `auto` to find out.
        label: the name of the label column where the job gave one: a first record that holds it is a header.

    Raises:
        UserError: a file that is not UTF-8 text.
    """
    with _open(path) as stream, _decoding(path):
        first = next((line for line in stream if line.strip()), "")
    delimiter = max(DELIMITERS, key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))
    records = list(itertools.islice(_records(path, delimiter), SAMPLED_ROWS + 1))
    if not records:
        raise UserError(f"{shown(path)} has no record, only blank lines. Put rows into it, or take it out.")
    line, names = records[0]
    fields = [name.strip() for name in names]
    rest = [record for _, record in records[1:] if len(record) == len(fields)]
    has_header = header == "true" or (header == "auto" and _is_header(fields, rest, label))
    return Layout(delimiter, tuple(fields) if has_header else None, len(fields), line if has_header else 0)


def read_csv(path: Path, layout: Layout, text_columns: Sequence[int]) -> pd.DataFrame:
    """All data records of a file; columns are numbered from 0.

    Args:
        path: the file.
        layout: from `find_layout`.
        text_columns: positions to read as text though every field is a number.

    Raises:
        UserError: a record with more or fewer fields than the first one, with its line.
    """
    if (
        next(itertools.islice(_records(path, layout.delimiter), int(layout.header is not None), None), None)
        is None
    ):
        return pd.DataFrame(columns=range(layout.width), dtype=float)
    try:
        with _open(path) as stream, _decoding(path):
            # Not `skiprows`: it counts records, and takes quotes for something else than the csv module.
            for _ in range(layout.first_line):
                stream.readline()
            frame = pd.read_csv(
                stream,
                sep=layout.delimiter,
                header=None,
                names=None,
                low_memory=False,
                na_values=list(MISSING),
                keep_default_na=False,
                skipinitialspace=True,
                dtype=dict.fromkeys(text_columns, str),
            )
    except pd.errors.ParserError as error:
        _refuse_ragged(path, layout)
        raise UserError(f"{shown(path)} is not valid CSV: {str(error).strip()}") from None
    # pandas pads a short record without a word, so the last column tells where to look.
    if frame.shape[1] != layout.width or frame.iloc[:, -1].isna().any():
        _refuse_ragged(path, layout)
    return frame


def line_of(path: Path, layout: Layout, row: int) -> int:
    """The line, counted from 1, on which data record `row` (counted from 0) ends."""
    records = itertools.islice(_records(path, layout.delimiter), row + (layout.header is not None), None)
    return next(records)[0]


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


def _refuse_ragged(path: Path, layout: Layout) -> None:
    for line, record in _records(path, layout.delimiter):
        if len(record) != layout.width:
            raise UserError(
                f"{shown(path)} line {line} has {len(record)} fields, but the first line has {layout.width}. "
                "Give every row the same number of fields."
            )


def _records(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each record that is not blank, with the line on which it ends."""
    with _open(path) as stream, _decoding(path):
        reader = csv.reader(stream, delimiter=delimiter, skipinitialspace=True)
        try:
            for record in reader:
                if any(field.strip() for field in record) or len(record) > 1:
                    yield reader.line_num, record
        except csv.Error as error:
            raise UserError(f"{shown(path)} line {reader.line_num} is not valid CSV: {error}.") from None


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _open(path: Path) -> IO[str]:
    if _is_gzip(path):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


class _decoding:  # noqa: N801 - used as a statement, like contextlib's own
    """Turns bytes that are not UTF-8, or a broken gzip file, into one line for the user."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, UnicodeDecodeError):
            raise UserError(
                f"{shown(self.path)} is not UTF-8 text ({error.reason} at byte {error.start}). "
                "Save it as UTF-8 CSV, or as Parquet."
            ) from None
        if isinstance(error, (EOFError, gzip.BadGzipFile)):
            raise UserError(f"{shown(self.path)} is a damaged gzip file ({error}). Write it again.") from None
