"""Splits a file into records: lines, RecordIO or TFRecord, one at a time (BATCH-12)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_RECORDIO_MAGIC = 0xCED7230A
_RECORDIO_HEAD = struct.Struct("<II")
_LENGTH_BITS = (1 << 29) - 1  # above them stands which part of a record it is
_TFRECORD_HEAD = struct.Struct("<QI")
_TFRECORD_TAIL = 4  # bytes of checksum


class RecordError(Exception):
    """The file is not what its split type says, or a record is above the payload limit (BATCH-16)."""


class Record(NamedTuple):
    """A record as it stands in its file, and without the framing."""

    framed: bytes
    content: bytes


def split(stream: BinaryIO, split_type: str, most_bytes: int) -> Iterator[Record]:
    """The records of a file.

    Args:
        stream: of the file.
        split_type: `Line`, `RecordIO` or `TFRecord`.
        most_bytes: of one record; 0 for no limit.

    Raises:
        RecordError: with the number of the record, counted from 1.
    """
    return {"Line": _lines, "RecordIO": _recordio, "TFRecord": _tfrecord}[split_type](stream, most_bytes)


def _lines(stream: BinaryIO, most_bytes: int) -> Iterator[Record]:
    number = 0
    while line := stream.readline(most_bytes + 1 if most_bytes else -1):
        number += 1
        if most_bytes and len(line) > most_bytes:
            raise _too_large(f"line {number}", most_bytes)
        content = line.rstrip(b"\r\n")
        if content.strip():  # an empty line is no record
            yield Record(line, content)


def _recordio(stream: BinaryIO, most_bytes: int) -> Iterator[Record]:
    """A record may be cut into parts, where its content holds the magic number."""
    number = 0
    while True:
        number += 1
        framed, contents = b"", []
        while True:
            head = stream.read(_RECORDIO_HEAD.size)
            if not head and not framed:
                return
            if len(head) < _RECORDIO_HEAD.size:
                raise RecordError(f"record {number} ends early")
            magic, coded = _RECORDIO_HEAD.unpack(head)
            if magic != _RECORDIO_MAGIC:
                raise RecordError(f"record {number} does not begin with RecordIO's magic number")
            length, part = coded & _LENGTH_BITS, coded >> 29
            if most_bytes and len(framed) + length > most_bytes:
                raise _too_large(f"record {number}", most_bytes)
            padded = stream.read(length + -length % 4)
            if len(padded) < length:
                raise RecordError(f"record {number} ends early")
            framed += head + padded
            contents.append(padded[:length])
            if part in (0, 3):  # a whole record, or its last part
                break
        yield Record(framed, struct.pack("<I", _RECORDIO_MAGIC).join(contents))


def _tfrecord(stream: BinaryIO, most_bytes: int) -> Iterator[Record]:
    number = 0
    while head := stream.read(_TFRECORD_HEAD.size):
        number += 1
        if len(head) < _TFRECORD_HEAD.size:
            raise RecordError(f"record {number} ends early")
        length = _TFRECORD_HEAD.unpack(head)[0]
        if most_bytes and length > most_bytes:
            raise _too_large(f"record {number}", most_bytes)
        rest = stream.read(length + _TFRECORD_TAIL)
        if len(rest) < length + _TFRECORD_TAIL:
            raise RecordError(f"record {number} ends early")
        yield Record(head + rest, rest[:length])


def _too_large(what: str, most_bytes: int) -> RecordError:
    return RecordError(f"{what} is larger than --max-payload ({most_bytes >> 20} MB)")
