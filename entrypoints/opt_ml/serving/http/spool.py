"""Large request bodies on disk: the front never holds one, and an async call brings up to 1 GB (HOST-100)."""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from opt_ml.errors import RequestError

SPOOL_BYTES = 32 * 1024 * 1024
"""Bytes of a body from which on it goes to disk."""

_MOST_WAITING = 8 * 1024 * 1024  # bytes that wait for the disk before the client has to wait too


class Spool:
    """One body in a file without a name below TMPDIR or /tmp: nothing of it stays, whoever dies.

    A thread writes it, because a busy disk would hold up the event loop.

    Args:
        on_change: called in the event loop when what was waiting is written, or cannot be.

    Attributes:
        error: why it cannot be written, or None.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by `close`
        self._waiting = bytearray()
        self._write: asyncio.Future[None] | None = None
        self._is_closed = False
        self.error: OSError | None = None

    @property
    def path(self) -> str:
        """A name by which a process of the same user can open the file while this one has it open."""
        return f"/proc/{os.getpid()}/fd/{self._file.fileno()}"

    @property
    def is_behind(self) -> bool:
        """True while no more should be added."""
        return len(self._waiting) > _MOST_WAITING

    @property
    def is_settled(self) -> bool:
        """True where all that was added is in the file, or never will be."""
        return self._write is None

    def add(self, data: bytes | bytearray) -> None:
        """Append to the body, soon."""
        if self.error is None:
            self._waiting += data
            if self._waiting and self._write is None:
                self._begin()

    def close(self) -> None:
        """Give the space back."""
        self._is_closed = True
        if self._write is None:
            self._file.close()

    def _begin(self) -> None:
        waiting, self._waiting = self._waiting, bytearray()
        loop = asyncio.get_running_loop()
        self._write = loop.run_in_executor(None, _write_all, self._file.fileno(), waiting)
        self._write.add_done_callback(self._on_written)

    def _on_written(self, write: asyncio.Future[None]) -> None:
        self._write = None
        error = write.exception()
        if isinstance(error, OSError):
            self.error = error
            self._waiting = bytearray()
        if self._is_closed:
            self._file.close()
            return
        if self._waiting:
            self._begin()
        self._on_change()


def _write_all(descriptor: int, data: bytearray) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def no_space(error: OSError) -> RequestError:
    """For a body that is too large for memory where the disk does not take it."""
    limit = SPOOL_BYTES // (1024 * 1024)
    return RequestError(
        507,
        f"A body of more than {limit} MB, or one among many, is kept below TMPDIR or /tmp, which does not "
        f"take it ({error.strerror or error}). Send fewer records, or give the container more disk.",
    )


def read_spooled(path: str) -> bytes:
    """The body that another process has spooled; empty where the client has gone, and the file with it."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENXIO):  # the second: a socket has got its number meanwhile
            return b""
        raise
