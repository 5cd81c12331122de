"""Messages between two processes: a kind, facts as JSON, and arrays or bytes as they lie in memory."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HEADER = struct.Struct("<Q")
_LONGEST_HEAD = 256 << 20  # bytes of JSON: names of files; anything more is no message of ours
_IDLE, _BETWEEN, _PROBES = 10, 10, 3  # seconds, seconds, number: a host without power is lost in 40 s

Buffer = NDArray[Any] | bytes


class LinkLostError(Exception):
    """The other end is gone."""


@dataclass(frozen=True)
class Message:
    """One message.

    Attributes:
        kind: what it asks or tells.
        facts: whatever JSON can hold.
        buffers: arrays as they were sent; bytes come as arrays of uint8.
    """

    kind: str
    facts: Mapping[str, Any]
    buffers: Sequence[NDArray[Any]] = ()

    def to_bytes(self, number: int = 0) -> bytes:
        """One of the buffers as bytes."""
        return self.buffers[number].tobytes()


class Link:
    """A connected stream socket.

    `send` may be called by several threads; `receive` by one at a time. Nothing is ever unpickled.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._sending = threading.Lock()
        if connection.family != socket.AF_UNIX:
            # The kernel asks whether the other host is there, also while nobody has anything to say.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _IDLE)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _BETWEEN)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * _IDLE * (_PROBES + 1))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fileno(self) -> int:
        """For `select`."""
        return self._socket.fileno()

    def peer_address(self) -> str:
        """The other end's IP address."""
        return str(self._socket.getpeername()[0])

    def own_address(self) -> str:
        """The IP address of this end; of a link within one host, where that reaches itself."""
        is_local = self._socket.family == socket.AF_UNIX
        return "127.0.0.1" if is_local else str(self._socket.getsockname()[0])

    def send(self, kind: str, facts: Mapping[str, Any] | None = None, *buffers: Buffer) -> None:
        """Send a message; returns when the kernel has taken it.

        Raises:
            LinkLostError: the other end is gone.
        """
        arrays = [
            np.frombuffer(b, np.uint8) if isinstance(b, bytes) else np.ascontiguousarray(b) for b in buffers
        ]
        layout = [(array.dtype.str, array.shape) for array in arrays]
        head = json.dumps({"kind": kind, "facts": facts or {}, "buffers": layout}).encode()
        with self._sending:
            try:
                self._socket.sendall(_HEADER.pack(len(head)) + head)
                for array in arrays:
                    if array.size:
                        self._socket.sendall(array.reshape(-1).view(np.uint8).data)
            except OSError as error:
                raise LinkLostError(str(error)) from None

    def forward(self, message: Message) -> None:
        """Send a message that came from elsewhere."""
        self.send(message.kind, message.facts, *message.buffers)

    def receive(self) -> Message:
        """The next message; waits for it.

        Raises:
            LinkLostError: the other end is gone, or sends something else.
        """
        (length,) = _HEADER.unpack(self._exactly(bytearray(_HEADER.size)))
        if length > _LONGEST_HEAD:
            raise LinkLostError("no message of this program")
        try:
            head = json.loads(bytes(self._exactly(bytearray(length))))
            arrays = [np.empty(shape, np.dtype(kind)) for kind, shape in head["buffers"]]
            message = Message(head["kind"], head["facts"], arrays)
        except (ValueError, TypeError, KeyError):
            raise LinkLostError("no message of this program") from None
        for array in arrays:
            if array.size:
                self._exactly(array.reshape(-1).view(np.uint8).data)
        return message

    def close(self) -> None:
        """End the connection; the other end sees it at once."""
        self._socket.close()

    def _exactly(self, buffer: bytearray | memoryview) -> bytearray | memoryview:
        view = memoryview(buffer)
        while len(view):
            try:
                count = self._socket.recv_into(view)
            except OSError as error:
                raise LinkLostError(str(error)) from None
            if not count:
                raise LinkLostError("closed")
            view = view[count:]
        return buffer
