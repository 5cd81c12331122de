"""Requests to a server that cannot be reached from here, by a program that runs beside it."""

from __future__ import annotations

import http.client
import io
from typing import Any, Protocol

# Runs inside a container that has no network: argv is the port and the length of the request.
SCRIPT = """
import socket, sys
server = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
server.sendall(sys.stdin.buffer.read(int(sys.argv[2])))
while part := server.recv(65536):
    sys.stdout.buffer.write(part)
"""


class Exchange(Protocol):
    """Carries the bytes of one request to a server and brings back those of the answer."""

    def __call__(self, request: bytes) -> bytes: ...  # noqa: D102 - the class says it


class RelayedConnection(http.client.HTTPConnection):
    """A connection whose bytes travel by `exchange` instead of a socket of this process.

    For a container without a network: what runs inside it can reach its loopback, this process cannot.
    """

    def __init__(self, host: str, exchange: Exchange) -> None:
        super().__init__(host)
        self._exchange = exchange

    def endheaders(self, message_body: Any = None, *, encode_chunked: bool = False) -> None:
        """One exchange carries one request: the server is asked to close after its answer."""
        self.putheader("Connection", "close")
        super().endheaders(message_body, encode_chunked=encode_chunked)

    def connect(self) -> None:
        """Collect the request; it is sent when the answer is asked for."""
        self.sock = _RelaySocket(self._exchange)


class _RelaySocket:
    """The part of a socket that http.client uses."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._request = bytearray()

    def sendall(self, data: bytes) -> None:
        self._request += data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._exchange(bytes(self._request)))

    def settimeout(self, seconds: float) -> None:
        """The exchange has no limit of its own."""

    def close(self) -> None:
        """Nothing is held open."""
