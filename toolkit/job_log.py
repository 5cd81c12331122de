"""A job's log as it comes: host and time before each line, metrics found in it, Ctrl-C heard meanwhile."""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Callable, Iterable
from datetime import datetime

OnLine = Callable[[str], None]

# `validation-rmse:54.1;` and `validation:rmse=54.1;` (TRAIN-111)
_METRIC = re.compile(
    r"(?<![\w.:/@-])(?P<name>[A-Za-z_][\w.:/@-]*?)\s*[:=]\s*(?P<value>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?);"
)


def find_metrics(lines: Iterable[str]) -> dict[str, float]:
    """Metrics that a tuning job's regular expressions would find: the last value of each name.

    Args:
        lines: log lines; each may hold several `name:value;` or `name=value;` (TRAIN-110, TRAIN-111).
    """
    return {match["name"]: float(match["value"]) for line in lines for match in _METRIC.finditer(line)}


def stamped(host: str, line: str) -> str:
    """The line as it is shown and kept: local time, host, text."""
    return f"{datetime.now().astimezone():%H:%M:%S} {host}  {line}"


class Follower:
    """Hands over the lines of a container as they come, in the caller's thread.

    The lines are read in a thread of their own, so that Ctrl-C reaches the caller between two lines and
    does not break the reading.

    Args:
        lines: blocks until there is a line; ends when the container has ended.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._queue: queue.SimpleQueue[str | Exception | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read, args=(lines,), daemon=True)
        self._thread.start()

    def follow(self, on_line: OnLine, on_interrupt: Callable[[], None]) -> None:
        """Call `on_line` for each line until the last; for each Ctrl-C call `on_interrupt` and go on.

        Raises:
            Exception: whatever ended the reading.
        """
        while True:
            try:
                item = self._queue.get()
                if item is None:
                    return
                if isinstance(item, Exception):
                    raise item
                on_line(item)
            except KeyboardInterrupt:
                on_interrupt()

    def _read(self, lines: Iterable[str]) -> None:
        try:
            for line in lines:
                self._queue.put(line)
        except Exception as error:
            self._queue.put(error)
        else:
            self._queue.put(None)
