"""Lines to a file descriptor, without ever waiting for whoever reads it."""

from __future__ import annotations

import os
import queue
import select
import threading
from contextlib import suppress

_CLOSE_WAIT = 1.0  # seconds


class LineWriter:
    """Collects lines; `flush` hands them to a thread, because a full pipe must not stop the event loop.

    Args:
        descriptor: where the lines go.
        most_waiting: batches that may wait for a reader that has stopped; later ones are dropped.
    """

    def __init__(self, descriptor: int, most_waiting: int = 64) -> None:
        self._descriptor = descriptor
        self._lines: list[str] = []
        self._batches: queue.Queue[bytes | None] = queue.Queue(most_waiting)
        self._thread = threading.Thread(target=self._write_batches, name="log", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Add one line, with its newline."""
        self._lines.append(line)

    def flush(self) -> None:
        """Let what was collected be written."""
        if self._lines:
            with suppress(queue.Full):
                self._batches.put_nowait("".join(self._lines).encode())
            self._lines = []

    def close(self) -> None:
        """Flush, and wait a moment for the reader."""
        self.flush()
        with suppress(queue.Full):
            self._batches.put_nowait(None)
        self._thread.join(_CLOSE_WAIT)

    def _write_batches(self) -> None:
        while (batch := self._batches.get()) is not None:
            with suppress(OSError):  # nobody reads any more: serving goes on
                while batch:
                    # Lanes write to the same pipe: whole lines, and no more than is written at once.
                    end = batch.rfind(b"\n", 0, select.PIPE_BUF) + 1 or select.PIPE_BUF
                    batch = batch[os.write(self._descriptor, batch[:end]) :]
