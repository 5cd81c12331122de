"""What the front process and a worker say to each other over a socket pair.

A call is one request, or several that are predicted together; its number comes back with all that the
worker says of it. The bodies of several requests, or of the answers to them, follow each other in order.

One frame is a length of the header and a length of the body (unsigned, 4 and 8 bytes, big endian), the
header as a JSON object, and the body as raw bytes. Frames are delimited by themselves, so several may be
written at once.

| from | header | body |
|---|---|---|
| worker | `{"event": "ready", "joins": bool, "wants_headers": bool, "is_async": bool}` | |
| worker | `{"event": "failed", "cause": ...}` | a traceback, or empty for a user's mistake |
| front | `{"call": n, "requests": [[Content-Type, Accept, length, headers, is_chat], ...]}` | the requests |
| worker | `{"event": "answers", "call": n, "answers": [facts, ...]}` | the answers |
| worker | `{"event": "start", "call": n, "answer": facts}` | the first part |
| worker | `{"event": "part", "call": n}` | one more part of a stream |
| worker | `{"event": "end", "call": n, "cause": null or why it broke}` | |
| front | `{"hold": n}`, `{"go": n}` | |
| front | `{"cancel": n}` | |

A call ends with `answers`, or with `end`: after `start` and any number of parts, or after `cancel`. The
front says `hold` while the client of a stream does not read, then `go`. What it says of a call that has
ended meanwhile is to be passed over.

A request's Content-Type and Accept are null where the client sent none, and its headers are an object, or
null where the worker does not want them; is_chat says that it came to the path of chat completions. Where
its body is on disk, the length is 0, and the name of the file comes last. The facts of an answer are
`[status, Content-Type, length, headers]`, where the headers are a list of names and values.
"""

from __future__ import annotations

import socket
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

_LENGTHS = struct.Struct("!IQ")
_CHUNK = 1 << 18
_LONGEST_HEADER = 1 << 26  # bytes; more is no frame, but something that wrote into the socket
_COPY_LIMIT = 1 << 16  # bytes of a body up to which it is joined with its head into one write

Frame = tuple[dict[str, Any], bytes]


class FrameError(Exception):
    """What came is no frame."""


def head(header: dict[str, Any], body_length: int) -> bytes:
    """Everything of a frame before its body."""
    text = orjson.dumps(header)
    return _LENGTHS.pack(len(text), body_length) + text


class FrameBuffer:
    """Puts together the frames of one stream."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes, in order.

        Raises:
            FrameError: the stream holds something else.
        """
        if self._pending or not _is_whole(data):
            self._pending += data
            while (end := _frame_end(self._pending)) is not None and end <= len(self._pending):
                with memoryview(self._pending) as pending:  # a large body is copied once
                    frame = _split(pending[:end])
                del self._pending[:end]
                yield frame
        else:
            yield _split(data)  # nearly always: one frame, and nothing to copy


def send(connection: socket.socket, header: dict[str, Any], body: bytes = b"") -> None:
    """Write one frame to a blocking socket."""
    if len(body) > _COPY_LIMIT:
        connection.sendall(head(header, len(body)))
        connection.sendall(body)
    else:
        connection.sendall(head(header, len(body)) + body)


class FrameReader:
    """The frames that come over a blocking socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = FrameBuffer()
        self._frames: deque[Frame] = deque()

    def next(self, is_patient: bool = True) -> Frame | None:
        """The next frame; None once the other side has closed.

        Args:
            is_patient: wait for it.

        Raises:
            BlockingIOError: none has come, and `is_patient` is False.
            FrameError: something else has come.
        """
        while not self._frames:
            data = self._connection.recv(_CHUNK, 0 if is_patient else socket.MSG_DONTWAIT)
            if not data:
                return None
            self._frames.extend(self._buffer.feed(data))
        return self._frames.popleft()


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
    if header_length > _LONGEST_HEADER:
        raise FrameError("not a frame")
    return int(_LENGTHS.size + header_length + body_length)


def _is_whole(data: bytes) -> bool:
    return _frame_end(data) == len(data)


def _split(frame: bytes | memoryview) -> Frame:
    header_length, _ = _LENGTHS.unpack_from(frame)
    body_start = _LENGTHS.size + header_length
    try:
        header = orjson.loads(frame[_LENGTHS.size : body_start])
    except orjson.JSONDecodeError:
        raise FrameError("not a frame") from None
    return header, bytes(frame[body_start:])
