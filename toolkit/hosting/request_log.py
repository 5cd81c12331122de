"""The requests to an endpoint: a line each as they are answered, and a table of latencies at the end."""

from __future__ import annotations

import math
import threading
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from toolkit.artifacts import readable_size

_Key = TypeVar("_Key", bound=tuple[str, ...])

_NOTE_LENGTH = 300  # characters of an error that stand in the line


@dataclass
class Served:
    """One request.

    Attributes:
        operation: such as `InvokeEndpoint`.
        status: what the client got; 0 where it went away before.
        seconds: from the head of the request to the end of the answer.
        received, sent: bytes of the two bodies.
        note: what went wrong.
    """

    operation: str
    status: int = 0
    seconds: float = 0.0
    received: int = 0
    sent: int = 0
    note: str = ""

    def line(self) -> str:
        """As it stands in the terminal."""
        sizes = f"{readable_size(self.received)} -> {readable_size(self.sent)}"
        text = (
            f"{datetime.now().astimezone():%H:%M:%S}  {self.status or '---'}  {self.seconds * 1e3:8.1f} ms  "
        )
        note = self.note.replace("\n", " ")
        cut = f"{note[:_NOTE_LENGTH]}..." if len(note) > _NOTE_LENGTH else note
        return f"{text}{sizes:>24}  {self.operation}" + (f"  {cut}" if cut else "")


class RequestLog:
    """Collects what was served; may be used from many threads.

    Args:
        say: receives each line.
        certain_payload: bytes above which a request is warned about (HOST-51).
    """

    def __init__(self, say: Callable[[str], None], certain_payload: int) -> None:
        self._say = say
        self._certain_payload = certain_payload
        self._lock = threading.Lock()
        self._seconds: dict[tuple[str, str], array[float]] = {}
        self._under_way = 0
        self._last = -math.inf

    def begin(self) -> None:
        """A request has arrived; `add` follows."""
        with self._lock:
            self._under_way += 1

    def quiet_for(self) -> float:
        """Seconds since the last request was answered; 0 while one is under way."""
        return 0.0 if self._under_way > 0 else time.monotonic() - self._last

    def add(self, served: Served) -> None:
        """Take one request that has been answered."""
        if served.received > self._certain_payload and not served.note:
            served.note = (
                f"warning: {readable_size(served.received)} of payload. The guide allows 25 MB, the "
                "API's own model 6 MB: a real endpoint may answer 413."
            )
        with self._lock:
            self._under_way -= 1
            self._last = time.monotonic()
            key = served.operation, str(served.status or "---")
            self._seconds.setdefault(key, array("d")).append(served.seconds)
        self._say(served.line())

    def table(self) -> str:
        """Latencies by operation and status; empty where nothing was served."""
        with self._lock:
            rows = {key: list(values) for key, values in sorted(self._seconds.items())}
        return latency_table(("operation", "status"), rows) if rows else ""


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed; `ordered` is not empty."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def latency_table(names: Sequence[str], rows: Mapping[_Key, Sequence[float]]) -> str:
    """A text table: each key's parts, the count, and p50, p90, p99 and the longest in milliseconds.

    Args:
        names: of the parts of the keys.
        rows: key -> seconds, at least one.
    """
    table = [[*names, "requests", "p50 ms", "p90 ms", "p99 ms", "max ms"]]
    for key, seconds in rows.items():
        ordered = sorted(seconds)
        times = [percentile(ordered, share) for share in (0.5, 0.9, 0.99, 1.0)]
        table.append([*key, str(len(ordered)), *(f"{time * 1e3:.1f}" for time in times)])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for row in table:
        words = [word.ljust(width) for word, width in zip(row[: len(names)], widths, strict=False)]
        numbers = zip(row[len(names) :], widths[len(names) :], strict=True)
        words += [word.rjust(width) for word, width in numbers]
        lines.append("  ".join(words).rstrip())
    return "\n".join(lines)
