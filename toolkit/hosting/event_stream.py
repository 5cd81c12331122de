"""The event stream of InvokeEndpointWithResponseStream, as `application/vnd.amazon.eventstream` frames it.

A message is: total length, length of the headers, CRC of these two, headers, payload, CRC of all before;
numbers are big-endian, 32 bits. A header is: length of its name, name, type 7 (text), length of its value
in 16 bits, value.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from typing import Protocol
from zlib import crc32

CONTENT_TYPE = "application/vnd.amazon.eventstream"

_PRELUDE = struct.Struct("!II")
_CRC = struct.Struct("!I")
_TEXT = 7


class Readable(Protocol):
    """A response that is read as it comes."""

    def read(self, size: int, /) -> bytes:
        """Exactly `size` bytes, or fewer at the end."""


def payload_part(data: bytes) -> bytes:
    """One PayloadPart event."""
    return _message(
        {
            ":event-type": "PayloadPart",
            ":content-type": "application/octet-stream",
            ":message-type": "event",
        },
        data,
    )


def exception(name: str, members: Mapping[str, str]) -> bytes:
    """One exception, such as ModelStreamError (HOST-68); it is the last message of a stream."""
    headers = {
        ":exception-type": name,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return _message(headers, json.dumps(members).encode())


def messages(stream: Readable) -> Iterator[tuple[dict[str, str], bytes]]:
    """Headers and payload of each message.

    Raises:
        ValueError: the stream ends within a message, or a checksum is wrong.
    """
    while prelude := stream.read(12):
        if len(prelude) < 12:
            raise ValueError("The event stream ends within a message.")
        total, headers_length = _PRELUDE.unpack_from(prelude)
        rest = stream.read(total - 12)
        if len(rest) < total - 12:
            raise ValueError("The event stream ends within a message.")
        if _CRC.unpack(rest[-4:])[0] != crc32(prelude + rest[:-4]):
            raise ValueError("A message of the event stream has a wrong checksum.")
        yield _headers(rest[:headers_length]), rest[headers_length:-4]


def _message(headers: Mapping[str, str], payload: bytes) -> bytes:
    block = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    prelude = _PRELUDE.pack(16 + len(block) + len(payload), len(block))
    message = prelude + _CRC.pack(crc32(prelude)) + block + payload
    return message + _CRC.pack(crc32(message))


def _header(name: bytes, value: bytes) -> bytes:
    return struct.pack("!B", len(name)) + name + struct.pack("!BH", _TEXT, len(value)) + value


def _headers(block: bytes) -> dict[str, str]:
    found, place = {}, 0
    while place < len(block):
        end = place + 1 + block[place]
        name = block[place + 1 : end].decode()
        kind, length = struct.unpack_from("!BH", block, end)
        if kind != _TEXT:
            raise ValueError(f"The header {name} of the event stream is not text.")
        place = end + 3 + length
        found[name] = block[end + 3 : place].decode()
    return found
