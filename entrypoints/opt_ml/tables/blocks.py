"""A text file in blocks of whole CSV records, read once from its start to its end.

A FIFO cannot be read again and FastFile mode is fast only in order (TRAIN-54, TRAIN-57), so everything that
is to be known of a file, its sha256 too, is learned while its bytes pass by.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from opt_ml.errors import UserError
from opt_ml.tables.text import shown

BLOCK = 16 << 20  # bytes
HEAD = 4096


class Passing:
    """A binary stream that is hashed while it is read, and whose start can be looked at beforehand.

    Attributes:
        head: its first 4096 bytes, or all of them where there are fewer.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.head = self._unread = self._read(HEAD)

    def read(self, size: int = -1) -> bytes:
        """So many bytes, fewer only at the end; all of them for a negative size."""
        start = self._unread if size < 0 else self._unread[:size]
        self._unread = self._unread[len(start) :]
        return start + self._read(size - len(start) if size >= 0 else -1)

    def sha256(self) -> str:
        """Of all bytes, once the stream has been read to its end."""
        return self._hash.hexdigest()

    def _read(self, size: int) -> bytes:
        found = self._stream.read(size) if size else b""
        self._hash.update(found)
        return found


@dataclass(frozen=True)
class Block:
    """Some whole records.

    Attributes:
        content: UTF-8 without a byte order mark, with the records' line ends.
        lines_before: physical lines of the file above it.
    """

    content: bytes
    lines_before: int

    def records(self, delimiter: str, path: Path) -> Iterator[tuple[int, list[str]]]:
        """Each record that is not blank, with the line of the file on which it ends, from 1.

        Raises:
            UserError: text that the csv module refuses, with its line.
        """
        # The line ends stay as they are: a line break in quotes belongs to the field.
        text = io.TextIOWrapper(io.BytesIO(self.content), encoding="utf-8", newline="")
        reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True)
        try:
            for record in reader:
                if len(record) > 1 or any(field.strip() for field in record):
                    yield self.lines_before + reader.line_num, record
        except csv.Error as error:
            line = self.lines_before + reader.line_num
            raise UserError(f"{shown(path)} line {line} is not valid CSV: {error}.") from None


def read_blocks(stream: Passing, path: Path, delimiters: str) -> Iterator[Block]:
    """Cut a file, also a gzipped one, between records.

    Args:
        stream: the file, from its start.
        path: its name, for the errors.
        delimiters: characters that may separate fields; the first line tells which one does.

    Raises:
        UserError: bytes that are not UTF-8, a damaged gzip file, or a record that csv refuses.
    """
    try:
        yield from _blocks(_plain(stream), path, delimiters)
        while stream.read(BLOCK):  # what gzip leaves belongs to the sha256
            pass
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{shown(path)} is a damaged gzip file ({error}). Write it again.") from None


def find_delimiter(content: bytes, delimiters: str) -> str:
    """The one that cuts the first line into the most fields."""
    text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline="", errors="replace")
    first = next((line for line in text if line.strip()), "")
    return max(delimiters, key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))


def count_lines(content: bytes) -> int:
    """Line ends: a line feed, a carriage return, or both."""
    found = content.count(b"\n")
    return found + (content.count(b"\r") - content.count(b"\r\n") if b"\r" in content else 0)


def _plain(stream: Passing) -> BinaryIO | Passing:
    # GzipFile only reads; concatenated gzip objects, as of a pipe, are one gzip stream.
    return gzip.GzipFile(fileobj=stream) if stream.head[:2] == b"\x1f\x8b" else stream  # type: ignore[call-overload]


def _blocks(stream: BinaryIO | Passing, path: Path, delimiters: str) -> Iterator[Block]:
    rest, lines, offset, size, delimiter = b"", 0, 0, BLOCK, ""
    while True:
        found = stream.read(size)
        content = rest + found
        if found and content.endswith(b"\r"):
            content += stream.read(1)  # it may be the first half of a line end
        if not offset and content.startswith(b"\xef\xbb\xbf"):
            content, offset = content[3:], 3
        delimiter = delimiter or find_delimiter(content, delimiters)
        is_last = len(found) < size
        end = len(content) if is_last else _end_of_records(Block(content, lines), delimiter, path)
        if end:
            block = Block(content[:end], lines)
            _check_utf8(block.content, offset, path)
            yield block
            lines, offset, size = lines + count_lines(block.content), offset + end, BLOCK
        else:
            size *= 2  # one record of several blocks is not looked through again and again
        if is_last:
            return
        rest = content[end:]


def _end_of_records(block: Block, delimiter: str, path: Path) -> int:
    """Bytes up to the end of the last record that is surely whole; 0 where there is none."""
    content = block.content
    if b'"' not in content:
        return max(content.rfind(b"\n"), content.rfind(b"\r")) + 1
    ends = [0, 0]
    passed = 0

    def lines() -> Iterator[str]:
        nonlocal passed
        # A character that the block cuts in two is at its very end, behind the last whole record.
        for line in io.TextIOWrapper(
            io.BytesIO(content), encoding="utf-8", newline="", errors="surrogateescape"
        ):
            passed += len(line.encode("utf-8", errors="surrogateescape"))
            yield line

    reader = csv.reader(lines(), delimiter=delimiter, skipinitialspace=True)
    try:
        for _ in reader:
            ends = [ends[1], passed]
    except csv.Error as error:
        line = block.lines_before + reader.line_num
        raise UserError(f"{shown(path)} line {line} is not valid CSV: {error}.") from None
    return ends[0]


def _check_utf8(content: bytes, offset: int, path: Path) -> None:
    if content.isascii():
        return
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{shown(path)} is not UTF-8 text ({error.reason} at byte {offset + error.start}). "
            "Save it as UTF-8 CSV, or as Parquet."
        ) from None
