"""The wire format of Protocol Buffers, as far as the records of SageMaker's algorithms need it.

The protobuf library itself would be one more package in every image, whose version a user's own framework
often binds. Source: the Encoding page of protobuf.dev.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_FIXED = {FIXED64: 8, FIXED32: 4}
_LONGEST_VARINT = 10


def read_fields(message: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, wire type and content of each field of one message, in order.

    The content of a number is its bytes as they stand, so that repeated ones joined are what the packed
    form holds.

    Raises:
        ValueError: a message that is cut, or not in this format.
    """
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        wire, start = tag & 7, at
        if wire == LENGTH:
            length, start = _varint(message, at)
            at = start + length
        elif wire == VARINT:
            _, at = _varint(message, at)
        elif wire in _FIXED:
            at += _FIXED[wire]
        else:
            raise ValueError(f"wire type {wire} at byte {start}")
        if at > len(message):
            raise ValueError(f"a field at byte {start} is longer than its message")
        yield tag >> 3, wire, message[start:at]


def unpack_varints(packed: bytes) -> NDArray[np.int64]:
    """The numbers of a packed field of integers, shape (n,).

    Raises:
        ValueError: bytes that end inside a number, or one of more than 10 bytes.
    """
    data = np.frombuffer(packed, dtype=np.uint8)
    if packed.isascii():  # each in one byte
        return data.astype(np.int64)
    ends = np.flatnonzero(data < 0x80) + 1
    if not len(ends) or ends[-1] != len(data):
        raise ValueError("a number is cut")
    starts = np.concatenate(([0], ends[:-1]))
    lengths = ends - starts
    if lengths.max() > _LONGEST_VARINT:
        raise ValueError(f"a number has more than {_LONGEST_VARINT} bytes")
    shifts = 7 * (np.arange(len(data)) - np.repeat(starts, lengths)).astype(np.uint64)
    parts = (data & 0x7F).astype(np.uint64) << shifts
    return np.bitwise_or.reduceat(parts, starts).view(np.int64)


def field(number: int, content: bytes) -> bytes:
    """One length-delimited field: a text, a message, or packed numbers."""
    return _to_varint(number << 3 | LENGTH) + _to_varint(len(content)) + content


def pack_varints(numbers: list[int]) -> bytes:
    """What `unpack_varints` reads."""
    return b"".join([_to_varint(number & 0xFFFF_FFFF_FFFF_FFFF) for number in numbers])


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at a position, and the position after it."""
    number = 0
    for index, byte in enumerate(data[at : at + _LONGEST_VARINT]):
        number |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return number, at + index + 1
    raise ValueError(f"the number at byte {at} does not end")


def _to_varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)
