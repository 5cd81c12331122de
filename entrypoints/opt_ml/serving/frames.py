"""What the front process and a worker say to each other over a socket pair.

A frame may hold several requests, or the answers to them: their bodies follow each other, in order.

One frame is a length of the header and a length of the body (unsigned, 4 and 8 bytes, big endian), the
header as a JSON object, and the body as raw bytes. Frames are delimited by themselves, so several may be
written at once.

| from | header | body |
|---|---|---|
| worker | `{"event": "ready", "joins": bool, "wants_headers": bool}` | |
| worker | `{"event": "failed", "cause": ...}` | a traceback, or empty for a user's mistake |
| front | `{"requests": [[Content-Type, Accept, length, headers], ...]}` | the requests |
| worker | `{"event": "answers", "answers": [[status, Content-Type, length, headers], ...]}` | the answers |

A request's Content-Type and Accept are null where the client sent none, and its headers are an object, or
null where the worker does not want them. An answer's headers are a list of names and values.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

_LENGTHS = struct.Struct("!IQ")
_CHUNK = 1 << 18

Frame = tuple[dict[str, Any], bytes]


def head(header: dict[str, Any], body_length: int) -> bytes:
    """Everything of a frame before its body."""
    text = orjson.dumps(header)
    return _LENGTHS.pack(len(text), body_length) + text


class FrameBuffer:
    """Puts together the frames of one stream."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes, in order."""
        if self._pending or not _is_whole(data):
            self._pending += data
            while (end := _frame_end(self._pending)) is not None and end <= len(self._pending):
                frame = bytes(memoryview(self._pending)[:end])
                del self._pending[:end]
                yield _split(frame)
        else:
            yield _split(data)  # nearly always: one frame, and nothing to copy


def send(connection: socket.socket, header: dict[str, Any], body: bytes = b"") -> None:
    """Write one frame to a blocking socket."""
    connection.sendall(head(header, len(body)) + body)


def receive(connection: socket.socket) -> Iterator[Frame]:
    """The frames that come over a blocking socket, until the other side closes it."""
    buffer = FrameBuffer()
    while data := connection.recv(_CHUNK):
        yield from buffer.feed(data)


def cut(body: bytes, lengths: Iterable[int]) -> list[bytes]:
    """The parts of a body, which has the sum of their lengths."""
    parts = []
    start = 0
    for length in lengths:
        parts.append(body[start : start + length])
        start += length
    return parts


def _frame_end(data: bytes | bytearray) -> int | None:
    if len(data) < _LENGTHS.size:
        return None
    header_length, body_length = _LENGTHS.unpack_from(data)
    return int(_LENGTHS.size + header_length + body_length)


def _is_whole(data: bytes) -> bool:
    return _frame_end(data) == len(data)


def _split(frame: bytes) -> Frame:
    header_length, _ = _LENGTHS.unpack_from(frame)
    body_start = _LENGTHS.size + header_length
    return orjson.loads(frame[_LENGTHS.size : body_start]), frame[body_start:]
