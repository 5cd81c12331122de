"""Feeds the FIFOs of a channel in Pipe mode: one an epoch, each as the one before it is done (TRAIN-56)."""

from __future__ import annotations

import fcntl
import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

POLL_SECONDS = 0.02
PIPE_BYTES = 1 << 20  # of the kernel's buffer; as large as any user may ask for


class Source(Protocol):
    """Gives the bytes of an epoch."""

    def epoch(self, number: int) -> Iterator[bytes]:
        """The bytes of epoch `number`, from 0."""


class Feeder:
    """A thread that makes `<directory>/<name>_<epoch>` and writes the epoch into it, until stopped.

    The reader may never open a FIFO, may close it early, and decides how many epochs there are (TRAIN-57,
    TRAIN-58): so every wait here ends when `stop` is called.

    Args:
        directory: what the container sees as /opt/ml/input/data.
        name: of the channel.
        source: the channel's bytes.
        on_error: receives, in the feeder's thread, what broke the feeding.
    """

    def __init__(
        self, directory: Path, name: str, source: Source, on_error: Callable[[Exception], None]
    ) -> None:
        self._directory, self._name, self._source = directory, name, source
        self._on_error = on_error
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._feed, name=f"{name}_feed", daemon=True)

    def __enter__(self) -> Feeder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _feed(self) -> None:
        epoch = 0
        try:
            while not self._stopped.is_set():
                self._feed_epoch(epoch)
                epoch += 1
        except Exception as error:
            self._on_error(error)

    def _feed_epoch(self, epoch: int) -> None:
        fifo = self._directory / f"{self._name}_{epoch}"
        os.mkfifo(fifo)
        fifo.chmod(0o644)  # whatever the umask: the container may not run as root
        try:
            writer = self._open(fifo)
            if writer is None:
                return
            try:
                with suppress(BrokenPipeError):  # closed early (TRAIN-58)
                    for chunk in self._source.epoch(epoch):
                        if not self._write(writer, chunk):
                            return
            finally:
                # Gone before the reader sees the end: an epoch cannot be read twice (TRAIN-57).
                fifo.unlink(missing_ok=True)  # the container may write there, and have removed it
                os.close(writer)
        finally:
            fifo.unlink(missing_ok=True)

    def _open(self, fifo: Path) -> int | None:
        """The writing end, once there is a reader; None when stopped before.

        A plain open() would block until then, and could not be called off.
        """
        while not self._stopped.wait(POLL_SECONDS):
            try:
                writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:
                continue  # ENXIO: nobody reads yet
            with suppress(OSError):  # above the limit of this machine
                fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            return writer
        return None

    def _write(self, writer: int, chunk: bytes) -> bool:
        """False when stopped before all was written."""
        rest = memoryview(chunk)
        poll = select.poll()
        poll.register(writer, select.POLLOUT)
        while rest:
            if self._stopped.is_set():
                return False
            if poll.poll(POLL_SECONDS * 1000):
                with suppress(BlockingIOError):
                    rest = rest[os.write(writer, rest) :]
        return True
