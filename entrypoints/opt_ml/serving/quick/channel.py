"""What the leader and a lane say to each other, and how they hand client connections over.

Messages are JSON objects over a SOCK_SEQPACKET pair, some with file descriptors (SCM_RIGHTS).

| from | message | descriptors |
|---|---|---|
| leader | `{"event": "client"}`: serve this new connection | the client's |
| leader | `{"event": "health", "is_healthy": bool}`: what GET /ping says | |
| leader | `{"event": "drain"}`: end, without losing a request | |
| lane | `{"event": "ready"}`: its model is loaded | |
| lane | `{"event": "client"}`: serve this from now on | the client's; a file of what it has sent |
| lane | `{"event": "report", ...}`: what it has answered since the last one; see `Lane` | |
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import orjson

_LONGEST = 1 << 17  # bytes of one message
_MOST_DESCRIPTORS = 2
_TURN = 64  # messages read before other sockets get their turn

Message = dict[str, Any]


class Channel:
    """One end.

    Args:
        connection: a non-blocking SOCK_SEQPACKET socket; it belongs to the channel now.
        on_message: called with each message and its descriptors, which belong to the callee.
        on_closed: called once when the other end is closed.
    """

    def __init__(
        self,
        connection: socket.socket,
        on_message: Callable[[Message, list[int]], None],
        on_closed: Callable[[], None],
    ) -> None:
        self._socket = connection
        self._on_message = on_message
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        self._unsent: deque[tuple[bytes, Sequence[int]]] = deque()
        self._is_closed = False
        self._loop.add_reader(connection, self._read)

    @property
    def has_unsent(self) -> bool:
        """True while the other end has not taken everything."""
        return bool(self._unsent)

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send a message. The descriptors are closed here once they are sent, or cannot be sent any more."""
        self._unsent.append((orjson.dumps(message), descriptors))
        if len(self._unsent) == 1:
            self._write()

    def close(self) -> None:
        """Close this end, and forget what was not sent."""
        if self._is_closed:
            return
        self._is_closed = True
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        for _, descriptors in self._unsent:
            _close_all(descriptors)
        self._unsent.clear()

    def _write(self) -> None:
        while self._unsent and not self._is_closed:
            data, descriptors = self._unsent[0]
            try:
                socket.send_fds(self._socket, [data], descriptors)
            except BlockingIOError:
                self._loop.add_writer(self._socket, self._write)
                return
            except OSError:  # the other end is gone; reading says so
                pass
            _close_all(descriptors)
            self._unsent.popleft()
        if not self._is_closed:
            self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        for _ in range(_TURN):
            try:
                data, descriptors, _, _ = socket.recv_fds(
                    self._socket, _LONGEST, _MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.close()
                self._on_closed()
                return
            self._on_message(orjson.loads(data), list(descriptors))
            if self._is_closed:
                return


def file_of(data: bytes) -> int:
    """A descriptor of a file in memory that holds `data`."""
    descriptor = os.memfd_create("received")
    with open(descriptor, "wb", closefd=False) as file:
        file.write(data)
    return descriptor


def content_of(descriptor: int) -> bytes:
    """What `file_of` was given; closes the descriptor."""
    with open(descriptor, "rb") as file:
        file.seek(0)
        return file.read()


def _close_all(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
