"""The listening socket, and how a client becomes a connection of the event loop."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import Callable
from contextlib import suppress

from opt_ml.errors import UserError

_BACKLOG = 1024
_TURN = 64  # clients accepted before other sockets get their turn
_PAUSE = 0.1  # seconds without accepting, where there is no room, or no memory left, for another client
_MOST_DESCRIPTORS = 1 << 16


class Acceptor:
    """Listens on all addresses (HOST-30).

    Args:
        port: TCP port.
        on_client: called with each client's socket, which belongs to the callee.
        has_room: False while no further client can be had; they wait in the kernel's queue then.

    Raises:
        UserError: the port cannot be bound.
    """

    def __init__(
        self, port: int, on_client: Callable[[socket.socket], None], has_room: Callable[[], bool]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_client = on_client
        self._has_room = has_room
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("0.0.0.0", port))  # noqa: S104
            self._socket.listen(_BACKLOG)
        except OSError as error:
            self._socket.close()
            raise UserError(
                f"Port {port} cannot be bound ({error.strerror or error}). "
                "Stop what uses it, or set SAGEMAKER_BIND_TO_PORT."
            ) from None
        self._resume()

    def close(self) -> None:
        """Accept who has come, then listen no more: a client in the queue of a closed socket is reset."""
        while self._accept():
            pass
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def _resume(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.add_reader(self._socket, self._accept)

    def _accept(self) -> bool:
        """Accept some clients; False when there are no more, or no room for them."""
        for _ in range(_TURN):
            if not self._has_room():
                return self._pause()
            try:
                client, _ = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return False
            except OSError:
                return self._pause()
            self._on_client(client)
        return True

    def _pause(self) -> bool:
        self._loop.remove_reader(self._socket)
        self._loop.call_later(_PAUSE, self._resume)
        return False


def most_clients(processes: int) -> int:
    """Clients that a server and its lanes together can have.

    Each lane can hand all that it has over to the leader then, which also needs descriptors for bodies on
    disk and for other processes. The limit of this process, which others inherit, is raised as far as it
    may be.

    Args:
        processes: that this one starts.
    """
    set_to, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit, most = (_MOST_DESCRIPTORS if one == resource.RLIM_INFINITY else one for one in (set_to, highest))
    if limit < min(most, _MOST_DESCRIPTORS):
        limit = min(most, _MOST_DESCRIPTORS)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, highest))
    return max(1, limit - processes - max(64, limit // 8))


class _Arrival(asyncio.Protocol):
    """Keeps what a client sends until its connection can take it."""

    def __init__(self, received: bytes) -> None:
        self.received = received

    def data_received(self, data: bytes) -> None:
        self.received += data


async def adopt(client: socket.socket, connection: asyncio.Protocol, received: bytes = b"") -> None:
    """Let the event loop watch `client` for `connection`.

    Args:
        client: its socket, which belongs to the event loop now.
        connection: what is told of it.
        received: what the client has sent to whoever had it before.
    """
    client.setblocking(False)
    arrival = _Arrival(received)
    loop = asyncio.get_running_loop()
    with suppress(OSError):  # the client has gone
        transport, _ = await loop.connect_accepted_socket(lambda: arrival, client)
        if not transport.is_closing():
            switch(transport, connection, arrival.received)


def switch(transport: asyncio.Transport, connection: asyncio.Protocol, received: bytes) -> None:
    """Let `connection` be told of a client that another protocol was told of so far."""
    transport.set_write_buffer_limits()
    transport.set_protocol(connection)
    connection.connection_made(transport)
    transport.resume_reading()
    if received:
        connection.data_received(received)
