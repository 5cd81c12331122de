"""A channel's files as one data frame, and the way back from a row to its file and line."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastparquet
import numpy as np
import pandas as pd
from opt_ml.environment import Channel
from opt_ml.errors import UserError

from opt_ml_ensemble.csv_files import Layout, find_layout, line_of, read_csv
from opt_ml_ensemble.text import category, number, shown

_CSV_SUFFIXES = frozenset({"", ".csv", ".tsv", ".txt", ".data", ".gz"})


@dataclass(frozen=True)
class Source:
    """One file of a channel: `rows` data records; `layout` is None for Parquet."""

    path: Path
    rows: int
    sha256: str
    layout: Layout | None


@dataclass(frozen=True)
class Rows:
    """All records of a channel, files one after the other.

    Attributes:
        channel: its name.
        frame: columns in the order of the first file.
        sources: the files in order.
        named: False where no file had column names; they are then column_0, column_1, ...
        label_first: the channel's content type says `label_size=1`, SageMaker's sign for a first column
            that is the label.
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
                if source.layout is None:
                    return f"{shown(source.path)} row {row + 1}"
                return f"{shown(source.path)} line {line_of(source.path, source.layout, row)}"
            row -= source.rows
        raise IndexError(row)


def read_channel(
    channel: Channel, header: str, label: str | None, text_columns: Collection[str] = ()
) -> Rows:
    """Read every file of a channel, CSV or Parquet, by what is in it.

    Args:
        channel: the channel.
        header: `auto`, `true` or `false`, for CSV.
        label: name of the label where the job gave one; helps to tell a header from data.
        text_columns: columns to read as text, because they are categories.

    Raises:
        UserError: no file, no row, an unknown or broken file, or files that do not fit together.
    """
    paths = [path for path in channel.files() if path.stat().st_size]
    if not paths:
        raise UserError(f"The channel {channel.name} has no data. Put CSV or Parquet files into it.")
    layouts = {path: _layout(path, header, label) for path in paths}
    parts = [_read(path, layouts[path], text_columns) for path in paths]
    mixed = _mixed_columns(parts)
    if mixed:
        # Numbers in one file and text in another: a column of text, so read its numbers as written.
        parts = [_read(path, layouts[path], {*text_columns, *mixed}) for path in paths]
    frame = _plain(pd.concat(_aligned(paths, layouts, parts), ignore_index=True))
    if not len(frame):
        raise UserError(f"The channel {channel.name} has column names but no row. Put rows below them.")
    sources = tuple(
        Source(path, len(part), _sha256(path), layouts[path]) for path, part in zip(paths, parts, strict=True)
    )
    named = any(layout is None or layout.header for layout in layouts.values())
    label_first = "label_size=1" in (channel.content_type or "").replace(" ", "")
    return Rows(channel.name, frame, sources, named, label_first)


def _layout(path: Path, header: str, label: str | None) -> Layout | None:
    with path.open("rb") as stream:
        start = stream.read(4096)
    if start[:4] == b"PAR1":
        return None
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"{shown(path)} is UTF-16 text. Save it as UTF-8.")
    is_gzip = start[:2] == b"\x1f\x8b"
    if path.suffix.lower() not in _CSV_SUFFIXES or (b"\0" in start and not is_gzip):
        raise UserError(
            f"{shown(path)} is neither CSV nor Parquet. Convert it, or take it out of the channel."
        )
    return find_layout(path, header, label)


def _read(path: Path, layout: Layout | None, text_columns: Collection[str]) -> pd.DataFrame:
    if layout is None:
        frame = _read_parquet(path)
    else:
        names = unique_names(layout.header) if layout.header else [f"column_{i}" for i in range(layout.width)]
        positions = [position for position, name in enumerate(names) if name in text_columns]
        frame = read_csv(path, layout, positions).set_axis(names, axis=1)
    for name in set(text_columns) & set(frame.columns):
        frame[name] = as_categories(frame[name])
    return frame


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        frame = fastparquet.ParquetFile(str(path)).to_pandas(index=False)
    except Exception as error:  # fastparquet raises whatever the bytes lead it to
        raise UserError(
            f"{shown(path)} could not be read as Parquet ({type(error).__name__}: {error})."
        ) from None
    frame.columns = [str(name) for name in frame.columns]
    for name in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            frame[name] = frame[name].astype(object)
    return frame


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


def _aligned(
    paths: list[Path], layouts: dict[Path, Layout | None], parts: list[pd.DataFrame]
) -> list[pd.DataFrame]:
    """Every part with the columns of the first named one, in its order."""
    is_named = [layouts[path] is None or layouts[path].header is not None for path in paths]  # type: ignore[union-attr]
    lead = is_named.index(True) if True in is_named else 0
    columns = list(parts[lead].columns)
    aligned = []
    for path, part, named in zip(paths, parts, is_named, strict=True):
        if part.shape[1] != len(columns):
            raise UserError(
                f"{shown(path)} has {part.shape[1]} columns, but {shown(paths[lead])} has {len(columns)}. "
                "Give all files of a channel the same columns."
            )
        if not named:
            part = part.set_axis(columns, axis=1)  # a later part file without the header line
        extra = [name for name in part.columns if name not in columns]
        if extra:
            raise UserError(
                f"{shown(path)} has a column {extra[0]!r} that {shown(paths[lead])} has not. "
                "Give all files of a channel the same columns."
            )
        aligned.append(part[columns])
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


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
