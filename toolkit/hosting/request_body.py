"""Reads the body of a request to the door: with a length, or chunked, and never more than is allowed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from io import BufferedIOBase

from toolkit.hosting.api_errors import too_large, validation_error

_LONGEST_LINE = 1 << 16
_PART = 1 << 16
# Bytes of a refused body that are read: who still writes when the connection is closed never sees why.
_PATIENCE = 1 << 28


def read_body(stream: BufferedIOBase, headers: Mapping[str, str], limit: int) -> bytes:
    """The whole body.

    Args:
        stream: behind the head of the request.
        headers: of the request, names in lower case.
        limit: most bytes.

    Raises:
        ApiError: the body is larger, or its framing is broken; the rest of the connection is of no use then.
    """
    if "chunked" in headers.get("transfer-encoding", "").lower():
        parts, size = [], 0
        for part in _chunks(stream, limit + _PATIENCE):
            size += len(part)
            if size <= limit:
                parts.append(part)
            elif size > limit + _PATIENCE:
                break
        if size > limit:
            raise too_large(limit)
        return b"".join(parts)
    length = headers.get("content-length", "0")
    if not length.isdecimal():
        raise validation_error(f"Content-Length {length[:40]!r} is not a number.")
    if int(length) > limit:
        _discard(stream, int(length))
        raise too_large(limit)
    body = stream.read(int(length))
    if len(body) < int(length):
        raise validation_error("The request ends before its body does.")
    return body


def _discard(stream: BufferedIOBase, length: int) -> None:
    left = min(length, _PATIENCE)
    while left > 0 and (part := stream.read(min(left, _PART))):
        left -= len(part)


def _chunks(stream: BufferedIOBase, limit: int) -> Iterator[bytes]:
    while True:
        try:
            size = int(stream.readline(_LONGEST_LINE).partition(b";")[0], 16)
        except ValueError:
            raise validation_error("The request has a chunk without a size.") from None
        if size > limit:
            raise too_large(limit)
        if size <= 0:
            break
        yield stream.read(size)
        stream.readline(_LONGEST_LINE)
    while stream.readline(_LONGEST_LINE).strip():  # trailers
        pass
