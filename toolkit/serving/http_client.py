"""One HTTP/1.1 request to a model server, with nothing added that the caller did not ask for."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

INVOCATION_LIMIT = 60.0  # seconds for one answer to /invocations (HOST-50)
_PART = 1 << 16  # bytes of a body that are read at once


@dataclass(frozen=True)
class Response:
    """The container's answer; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text, with a mark where a byte is not UTF-8."""
        return self.body.decode(errors="replace")

    @property
    def media_type(self) -> str:
        """The Content-Type without its parameters, in lower case; empty without one (HOST-58)."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def send(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes | Iterable[bytes] = b"",
) -> Response:
    """Send one request and read the whole answer.

    Args:
        connection: fresh, or kept alive by an earlier answer.
        method: `GET` or `POST`.
        path: beginning with a slash.
        headers: sent as they are; Host and Content-Length (or, for an iterable body,
            `Transfer-Encoding: chunked`, BATCH-07) are the only ones added.
        body: bytes, or an iterable whose parts become chunks.

    Raises:
        OSError: no connection, or no answer in time.
        http.client.HTTPException: the answer is not HTTP.
    """
    begin(connection, method, path, headers, body)
    answer = connection.getresponse()
    return Response(answer.status, _lowered(answer), answer.read())


def begin(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes | Iterable[bytes] = b"",
) -> None:
    """Send one request, as `send` does, and wait for nothing."""
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    if not isinstance(body, bytes):
        connection.putheader("Transfer-Encoding", "chunked")
    elif body or method == "POST":
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body, encode_chunked=not isinstance(body, bytes))


def _lowered(answer: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.getheaders()}


class OpenAnswer:
    """An answer whose head has come, and whose body is read as it comes; closes its connection at the end.

    Args:
        connection: on which the request has been sent, by `begin`.
        limit: seconds from now in which head and body must have come.

    Attributes:
        status: of the answer.
        headers: with names in lower case.

    Raises:
        TimeoutError: the limit is over; at the start, or while the body is read.
        OSError: the connection has gone.
        http.client.HTTPException: the answer is not HTTP, or ends early.
    """

    def __init__(self, connection: http.client.HTTPConnection, limit: float) -> None:
        self._connection = connection
        self._socket = connection.sock  # http.client forgets it where the answer ends the connection
        self._deadline = time.monotonic() + limit
        self._allow()
        self._answer = connection.getresponse()
        self.status = self._answer.status
        self.headers: Mapping[str, str] = _lowered(self._answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._answer.close()
        self._connection.close()

    def read(self) -> bytes:
        """The whole body."""
        return b"".join(self.parts())

    def parts(self) -> Iterator[bytes]:
        """The body as it comes, without the bounds of its chunks."""
        while True:
            self._allow()
            part = self._answer.read1(_PART)
            if not part:
                break
            yield part
        if self._answer.length:  # `read1` takes the end of the connection for the end of the body
            raise http.client.IncompleteRead(b"", self._answer.length)

    def _allow(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)
