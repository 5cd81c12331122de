"""A channel's files as one data frame, and the way back from a row to its file and line."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import fastparquet
import numpy as np
import pandas as pd

from opt_ml.data import open_objects
from opt_ml.environment import Channel
from opt_ml.errors import UserError
from opt_ml.tables.blocks import Passing
from opt_ml.tables.csv_files import Lines, read_csv
from opt_ml.tables.libsvm_files import is_libsvm, read_libsvm
from opt_ml.tables.text import category, number, shown

_CSV_SUFFIXES = frozenset({"", ".csv", ".tsv", ".txt", ".data", ".gz"})


@dataclass(frozen=True)
class Source:
    """One file of a channel, or what a Pipe channel delivers in its place.

    Attributes:
        path: of the file, of the FIFO, or `<FIFO>/record-<number>`.
        rows: data records in it.
        sha256: of its bytes.
        lines: where they are; None for Parquet, which has no lines.
    """

    path: Path
    rows: int
    sha256: str
    lines: Lines | None


@dataclass(frozen=True)
class Rows:
    """All records of a channel, files one after the other.

    Attributes:
        channel: its name.
        frame: columns in the order of the first file.
        sources: the files in order.
        named: False where no file had column names; they are then column_0, column_1, ...
        label_first: the channel's content type says `label_size=1`, SageMaker's sign for a first column
            that is the label, or it is LIBSVM, whose label always stands first.
    """

    channel: str
    frame: pd.DataFrame
    sources: tuple[Source, ...]
    named: bool
    label_first: bool = False

    def where(self, row: int) -> str:
        """`part-1.csv line 12` of a row counted from 0 over all files."""
        for source in self.sources:
            if row < source.rows:
                if source.lines is None:
                    return f"{shown(source.path)} row {row + 1}"
                return f"{shown(source.path)} line {source.lines.of(row)}"
            row -= source.rows
        raise IndexError(row)


@dataclass(frozen=True)
class _Table:
    source: Source
    frame: pd.DataFrame
    named: bool


def read_channel(
    channel: Channel,
    header: str,
    label: str | None,
    objects: Iterable[tuple[Path, BinaryIO]] | None = None,
) -> Rows:
    """Read every file of a channel once, in order: CSV or Parquet by what is in it, LIBSVM by its name.

    Args:
        channel: the channel, in File, FastFile or Pipe mode; of a Pipe channel epoch 0 is read.
        header: `auto`, `true` or `false`, for CSV.
        label: name of the label where the job gave one; helps to tell a header from data.
        objects: the files where they are not all on this host.

    Raises:
        UserError: no file, no row, an unknown or broken file, or files that do not fit together.
    """
    found = open_objects(channel) if objects is None else objects
    tables = [
        table
        for path, stream in found
        if (table := _read(channel, path, Passing(stream), header, label)) is not None
    ]
    if not tables:
        raise UserError(f"The channel {channel.name} has no data. Put CSV or Parquet files into it.")
    frame = _plain(joined(_aligned(tables)))
    if not len(frame):
        raise UserError(f"The channel {channel.name} has column names but no row. Put rows below them.")
    label_first = "label_size=1" in (channel.content_type or "").replace(" ", "")
    label_first |= any(is_libsvm(channel, table.source.path) for table in tables)
    sources = tuple(table.source for table in tables)
    return Rows(channel.name, frame, sources, any(table.named for table in tables), label_first)


def _read(channel: Channel, path: Path, stream: Passing, header: str, label: str | None) -> _Table | None:
    """One file; None for an empty one."""
    if not stream.head:
        return None
    # All objects of such a channel come as one stream, in which nothing marks where one ends.
    several = channel.input_mode == "Pipe" and channel.record_wrapper != "RecordIO"
    if stream.head[:4] == b"PAR1":
        if several:
            raise UserError(
                f"The channel {channel.name} brings Parquet through a pipe in which files have no end. "
                "Set its RecordWrapperType to RecordIO, or use File or FastFile mode."
            )
        content = stream.read()
        frame = _read_parquet(path, content)
        return _Table(Source(path, len(frame), stream.sha256(), None), frame, True)
    if is_libsvm(channel, path):
        frame, lines = read_libsvm(stream.read(), path)
        return _Table(Source(path, len(frame), stream.sha256(), lines), frame, True)
    _check_text(path, stream.head, channel.input_mode == "Pipe")
    csv = read_csv(stream, path, header, label, several)
    names = unique_names(csv.names) if csv.names else [f"column_{i}" for i in range(csv.width)]
    frame = joined(csv.parts).set_axis(names, axis=1)
    return _Table(Source(path, len(frame), stream.sha256(), csv.lines), frame, csv.names is not None)


def _check_text(path: Path, head: bytes, is_pipe: bool) -> None:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"{shown(path)} is UTF-16 text. Save it as UTF-8.")
    is_gzip = head[:2] == b"\x1f\x8b"
    foreign_name = not is_pipe and path.suffix.lower() not in _CSV_SUFFIXES
    # JSON is what an augmented manifest sends for a label, among images that are binary.
    if foreign_name or (b"\0" in head and not is_gzip) or head.lstrip()[:1] in (b"{", b"["):
        cure = "Convert it, or take it out of the channel."
        if is_pipe:
            cure = "An augmented manifest's attributes are no rows of a table, and neither is protobuf."
        raise UserError(f"{shown(path)} is neither CSV nor Parquet. {cure}")


def _read_parquet(path: Path, content: bytes) -> pd.DataFrame:
    try:
        # From memory: the reader jumps about, which FastFile mode is slow at and a pipe cannot do.
        frame = fastparquet.ParquetFile(io.BytesIO(content)).to_pandas(index=False)
    except Exception as error:  # fastparquet raises whatever the bytes lead it to
        raise UserError(
            f"{shown(path)} could not be read as Parquet ({type(error).__name__}: {error})."
        ) from None
    frame.columns = [str(name) for name in frame.columns]
    for name in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            frame[name] = frame[name].astype(object)
    return frame


def joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Rows of the same columns, one part after the other.

    A column of numbers in one part and of text in another is text; `text.category` writes a number as it
    writes the text of that number, so nothing has to be read again.
    """
    if len(parts) == 1:
        return parts[0]
    mixed = _mixed_columns(parts)
    for part in parts:
        for name in mixed:
            part[name] = as_categories(part[name])
    return pd.concat(parts, ignore_index=True)


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Text columns with None alone for missing: CSV and Parquet have readers with an idea each of it."""
    for name in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            column = frame[name].astype(object)
            frame[name] = column.where(column.notna(), None)
    return frame


def unique_names(names: tuple[str, ...]) -> list[str]:
    """Column names made unique: the second `x` is `x.1`; an empty name is `column_<position>`."""
    unique: dict[str, None] = {}
    for position, name in enumerate(names):
        name = name or f"column_{position}"
        further = (f"{name}.{count}" for count in itertools.count(1))
        unique[name if name not in unique else next(new for new in further if new not in unique)] = None
    return list(unique)


def as_categories(column: pd.Series) -> pd.Series:
    """Text of each field as `text.category` writes it, None where it is missing."""
    values = pd.unique(column)
    return column.map({value: category(value) for value in values}).astype(object)


def is_text(column: pd.Series) -> bool:
    """True when a column holds anything that pandas did not read as a number or a truth value."""
    return not pd.api.types.is_numeric_dtype(column) and bool(column.notna().any())


def _mixed_columns(parts: list[pd.DataFrame]) -> set[str]:
    filled = [part.loc[:, part.notna().any()] for part in parts]
    text = {name for part in filled for name in part.columns if is_text(part[name])}
    return {name for part in filled for name in part.columns if name in text and not is_text(part[name])}


def _aligned(tables: list[_Table]) -> list[pd.DataFrame]:
    """The rows of every file with the columns of the first named one, in its order."""
    is_named = [table.named for table in tables]
    lead = tables[is_named.index(True) if True in is_named else 0]
    columns, lead_path = list(lead.frame.columns), lead.source.path
    aligned = []
    for table in tables:
        part, path = table.frame, table.source.path
        if part.shape[1] != len(columns):
            raise UserError(
                f"{shown(path)} has {part.shape[1]} columns, but {shown(lead_path)} has {len(columns)}. "
                "Give all files of a channel the same columns."
            )
        if not table.named:
            part = part.set_axis(columns, axis=1)  # a later part file without the header line
        extra = [name for name in part.columns if name not in columns]
        if extra:
            raise UserError(
                f"{shown(path)} has a column {extra[0]!r} that {shown(lead_path)} has not. "
                "Give all files of a channel the same columns."
            )
        aligned.append(part[columns].copy(deep=False))
    return aligned


def as_numbers(column: pd.Series) -> tuple[np.ndarray[Any, np.dtype[np.float64]], int | None]:
    """The numbers of a column, and the first row (from 0) that holds other text, or None."""
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan), None
    parsed = {value: number(None if value is pd.NA else value) for value in pd.unique(column)}
    numbers = column.map({value: np.nan if found is None else found for value, found in parsed.items()})
    texts = column.isin([value for value, found in parsed.items() if found is None]).to_numpy()
    first = int(np.argmax(texts)) if texts.any() else None
    return numbers.to_numpy(dtype=np.float64), first
