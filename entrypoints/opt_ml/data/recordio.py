"""RecordIO, the framing of a Pipe channel with `RecordWrapperType` `RecordIO` (TRAIN-59).

A record is the magic number 0xced7230a, a word with its length (29 bits) and a flag (3 bits), and the
payload padded to 4 bytes; integers are little-endian. Flag 0 is a whole record; 1, 2 and 3 are the first,
a middle and the last part of one that is longer than 29 bits can say. Sources: SageMaker Developer Guide,
cdf-training; `RecordIOReader` of sagemaker-tensorflow-extensions; recordio.h of dmlc-core.
"""

from __future__ import annotations

import io
import itertools
import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from opt_ml.errors import UserError

MAGIC = 0xCED7230A
LONGEST_PART = (1 << 29) - 1
_HEADER = struct.Struct("<II")
_MAGIC_BYTES = struct.pack("<I", MAGIC)
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)


def read_records(stream: BinaryIO, name: str = "The stream", mxnet: bool = False) -> Iterator[bytes]:
    """Each record's payload, one in memory at a time.

    Args:
        stream: positioned at a record.
        name: of the stream, for the errors.
        mxnet: for files of MXNet's `im2rec` and the like: dmlc-core cuts a record where its payload holds
            the magic number and leaves that out between the parts. SageMaker cuts by length only.

    Raises:
        UserError: bytes that are not RecordIO, or a stream that ends inside a record, with the place.
    """
    for record in record_streams(stream, name, mxnet):
        yield record.read()


def record_streams(stream: BinaryIO, name: str = "The stream", mxnet: bool = False) -> Iterator[BinaryIO]:
    """Each record as a stream of its own, for records that are whole files.

    A record that was not read to its end is passed over when the next one is asked for.

    Args:
        stream: as for `read_records`.
        name: the same.
        mxnet: the same.

    Raises:
        UserError: as `read_records`, also while a record is read.
    """
    source = _Source(stream, name)
    for number in itertools.count(1):
        header = source.header(number)
        if header is None:
            return
        record = _Record(source, number, *header, mxnet)
        yield io.BufferedReader(record, 1 << 16)
        record.pass_over()


def whole_records(content: bytes) -> list[bytes] | None:
    """The payloads of RecordIO that is in memory, a good deal faster than `read_records`.

    Returns:
        None where a record is in several parts, or anything is wrong: `read_records` says what.
    """
    records = []
    at = 0
    while at < len(content):
        if len(content) - at < _HEADER.size:
            return None
        magic, word = _HEADER.unpack_from(content, at)
        start, length = at + _HEADER.size, word & LONGEST_PART
        at = start + length + -length % 4
        if magic != MAGIC or word >> 29 != _WHOLE or at > len(content):
            return None
        records.append(content[start : start + length])
    return records


def read_attributes(
    stream: BinaryIO, names: Sequence[str], name: str = "The stream"
) -> Iterator[dict[str, bytes]]:
    """The lines of an augmented manifest: each attribute is one record, in the order of `names` (TRAIN-60).

    An attribute whose name ends with `-ref` holds the content of the object that it names, any other one
    its JSON value. The job's `AttributeNames` do not reach the container: pass them as a hyperparameter.

    Args:
        stream: of a channel whose `RecordWrapperType` is `RecordIO`; without it nothing separates them.
        names: the job's `AttributeNames`, in order.
        name: of the stream, for the errors.

    Raises:
        UserError: as `read_records`, or an end in the middle of a line of the manifest.
    """
    records = read_records(stream, name)
    for line in itertools.count(1):
        values = list(itertools.islice(records, len(names)))
        if not values:
            return
        if len(values) < len(names):
            raise UserError(
                f"{name} ends after {len(values)} of the {len(names)} attributes of line {line}. "
                f"Give the job's AttributeNames; read were: {', '.join(names)}."
            )
        yield dict(zip(names, values, strict=True))


def write_record(stream: BinaryIO, payload: bytes, longest_part: int = LONGEST_PART) -> None:
    """Write one record, in several parts where it is longer than `longest_part` bytes."""
    parts = range(0, len(payload) or 1, longest_part)
    for number, start in enumerate(parts):
        part = payload[start : start + longest_part]
        flag = _WHOLE
        if len(parts) > 1:
            flag = _FIRST if number == 0 else _LAST if number == len(parts) - 1 else _MIDDLE
        stream.write(_HEADER.pack(MAGIC, flag << 29 | len(part)) + part + bytes(-len(part) % 4))


class _Source:
    """The underlying stream, which knows how far it has been read."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name
        self._position = 0

    def header(self, record: int, inside: bool = False) -> tuple[int, int] | None:
        """Flag and length of the next part; None at the end of the stream."""
        at = self._position
        found = self._up_to(_HEADER.size)
        if not found and not inside:
            return None
        if len(found) < _HEADER.size:
            raise self.truncated(record)
        magic, word = _HEADER.unpack(found)
        if magic != MAGIC:
            raise UserError(
                f"{self._name} is not RecordIO: record {record} begins with the bytes {found[:4].hex(' ')} "
                f"at byte {at}, not with 0a 23 d7 ce. Set the channel's RecordWrapperType to what it holds."
            )
        flag, expected = word >> 29, (_MIDDLE, _LAST) if inside else (_WHOLE, _FIRST)
        if flag not in expected:
            raise UserError(
                f"{self._name} is damaged: record {record} has a part with the flag {flag} at byte {at}, "
                f"where {expected[0]} or {expected[1]} belongs."
            )
        return flag, word & LONGEST_PART

    def read(self, size: int, record: int) -> bytes:
        """Exactly so many bytes."""
        found = self._up_to(size)
        if len(found) < size:
            raise self.truncated(record)
        return found

    def truncated(self, record: int) -> UserError:
        return UserError(
            f"{self._name} ends in the middle of record {record}, after {self._position} bytes. "
            "Whatever wrote it did not come to its end."
        )

    def _up_to(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size:
            part = self._stream.read(size)  # an unbuffered FIFO gives fewer bytes than asked for
            if not part:
                break
            parts.append(part)
            self._position += len(part)
            size -= len(part)
        return b"".join(parts)


class _Record(io.RawIOBase):
    """The payload of one record, its parts one after the other."""

    def __init__(self, source: _Source, number: int, flag: int, length: int, mxnet: bool) -> None:
        self._source = source
        self._number = number
        self._more = flag == _FIRST
        self._left = length
        self._padding = -length % 4
        self._mxnet = mxnet
        self._pending = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        view = memoryview(buffer)
        while not self._left and not self._pending:
            self._source.read(self._padding, self._number)
            self._padding = 0
            if not self._more:
                return 0
            self._begin_part()
        if self._pending:
            found, self._pending = self._pending[: len(view)], self._pending[len(view) :]
        else:
            found = self._source.read(min(self._left, len(view)), self._number)
            self._left -= len(found)
        view[: len(found)] = found
        return len(found)

    def pass_over(self) -> None:
        """Read what is left, also of a closed stream: a TextIOWrapper closes what it read from."""
        rest = bytearray(1 << 16)
        while self.readinto(rest):
            pass

    def _begin_part(self) -> None:
        header = self._source.header(self._number, inside=True)
        if header is None:
            raise AssertionError("inside a record there is a header or an error")
        flag, self._left = header
        self._padding = -self._left % 4
        self._more = flag == _MIDDLE
        self._pending = _MAGIC_BYTES if self._mxnet else b""
