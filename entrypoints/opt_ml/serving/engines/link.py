"""What the workers under another server tell the process that started it."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

DIRECTORY_VARIABLE = "OPT_ML_ENGINE_DIRECTORY"
_SOCKET = "events.sock"
_LOCK = "busy.lock"
_LONGEST = 8000  # characters of a cause or a traceback; a datagram holds both, however they are escaped
_QUIET = 2.0  # seconds without a request after which the server is idle, whoever is connected
_OPEN = ("01", "08")  # states in /proc/net/tcp: established, and closed by the client's side alone


class Event(NamedTuple):
    """What a worker says: `ready`, or `failed` with the cause and the traceback or nothing."""

    name: str
    cause: str = ""
    details: str = ""


class Events:
    """The receiving end, a socket in `directory`, in the running event loop; a context manager.

    Args:
        directory: of this server.
        on_event: called for each event.
    """

    def __init__(self, directory: Path, on_event: Callable[[Event], None]) -> None:
        self._on_event = on_event
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(directory / _SOCKET))
        self._socket.setblocking(False)

    def __enter__(self) -> Self:
        """Listen."""
        asyncio.get_running_loop().add_reader(self._socket, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Listen no more."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _receive(self) -> None:
        with suppress(BlockingIOError):
            self._on_event(Event(*json.loads(self._socket.recv(1 << 17))))


def tell(event: Event) -> None:
    """Send an event from a worker; nothing happens where nobody listens any more."""
    short = event._replace(cause=event.cause[:_LONGEST], details=event.details[-_LONGEST:])
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, suppress(OSError):
        sender.connect(str(Path(os.environ[DIRECTORY_VARIABLE]) / _SOCKET))
        sender.send(json.dumps(short).encode())


class Busy:
    """A worker's sign that it answers a request: a lock that all workers can hold at once."""

    def __init__(self) -> None:
        path = Path(os.environ[DIRECTORY_VARIABLE]) / _LOCK
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Busy within the block."""
        fcntl.flock(self._file, fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)


async def wait_until_idle(directory: Path, port: int, seconds: float) -> None:
    """Return when no client is connected, when no worker has been seen busy for a while, or after `seconds`.

    The server itself resets what is in flight when it gets SIGTERM, and tells nobody how much that is. A
    request is with no worker while its body or its answer is on the way, hence the while.

    Args:
        directory: of this server.
        port: where it listens.
        seconds: the longest wait.
    """
    deadline = time.monotonic() + seconds
    quiet_since = time.monotonic()
    file = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while (now := time.monotonic()) < deadline and now - quiet_since < _QUIET and has_clients(port):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.flock(file, fcntl.LOCK_UN)
            except BlockingIOError:
                quiet_since = time.monotonic()
            await asyncio.sleep(0.01)
    finally:
        os.close(file)


def has_clients(port: int) -> bool:
    """True while anybody is connected to `port` of this network."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError), Path(table).open(encoding="ascii") as lines:
            for _, local, _, state, *_ in (line.split() for line in lines):
                if state in _OPEN and local.endswith(f":{port:04X}"):
                    return True
    return False
