"""Requests to a server that cannot be reached from here, by a program that runs beside it."""

from __future__ import annotations

import http.client
import io
from typing import Any, Protocol

from toolkit.errors import ToolkitError

# Runs inside a container that has no network: argv is the port, the length of the request and the seconds in
# which the answer must have come. It hands on each byte that it reads, and knows from the answer where that
# ends: not every server closes after it.
SCRIPT = """
import http.client, io, socket, sys, time
port, size, limit = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
end = time.monotonic() + limit
server = socket.create_connection(("127.0.0.1", port), limit)
request = sys.stdin.buffer.read(size)
server.sendall(request)

class Answer(io.RawIOBase):
    def readable(self):
        return True
    def readinto(self, buffer):
        server.settimeout(max(0.001, end - time.monotonic()))
        size = server.recv_into(buffer)
        sys.stdout.buffer.write(buffer[:size])
        return size
    def makefile(self, mode):
        return io.BufferedReader(self)

answer = http.client.HTTPResponse(Answer(), method=request.split(b" ", 1)[0].decode())
try:
    answer.begin()
    answer.read()
except (http.client.HTTPException, ConnectionError):
    pass  # whoever gets these bytes will find the same
"""
_LATE = "TimeoutError"  # of the program above; the last line of its traceback begins so


class Exchange(Protocol):
    """Carries the bytes of one request to a server and brings back those of the answer.

    Raises:
        ToolkitError: there is no answer; of a TimeoutError, `limit` seconds are over.
    """

    def __call__(self, request: bytes, limit: float) -> bytes: ...  # noqa: D102 - the class says it


class RelayedConnection(http.client.HTTPConnection):
    """A connection whose bytes travel by `exchange` instead of a socket of this process.

    For a container without a network: what runs inside it can reach its loopback, this process cannot.
    """

    def __init__(self, host: str, exchange: Exchange, timeout: float) -> None:
        super().__init__(host, timeout=timeout)
        self._exchange = exchange

    def endheaders(self, message_body: Any = None, *, encode_chunked: bool = False) -> None:
        """One exchange carries one request, and so the server may close after its answer."""
        self.putheader("Connection", "close")
        super().endheaders(message_body, encode_chunked=encode_chunked)

    def connect(self) -> None:
        """Collect the request; it is sent when the answer is asked for."""
        self.sock = _RelaySocket(self._exchange, float(self.timeout or 0))


class _RelaySocket:
    """The part of a socket that http.client uses."""

    def __init__(self, exchange: Exchange, limit: float) -> None:
        self._exchange = exchange
        self._limit = limit
        self._request = bytearray()

    def sendall(self, data: bytes) -> None:
        self._request += data

    def makefile(self, mode: str) -> io.BytesIO:
        try:
            return io.BytesIO(self._exchange(bytes(self._request), self._limit))
        except ToolkitError as error:
            if _LATE in error.message:
                raise TimeoutError("timed out") from None
            raise

    def settimeout(self, seconds: float) -> None:
        """How long the exchange may take, where it has not begun."""
        self._limit = seconds

    def close(self) -> None:
        """Nothing is held open."""
