"""What /metrics says: Prometheus text, kept up with a few additions a request (HOST-81, HOST-82).

The platform scrapes it once a minute and bills by the byte (HOST-83): few series with short names.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Upper bounds in seconds, from a cached small model to the longest regular request (HOST-50).
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Counts of answered requests, by status, and how long they took.

    Only /invocations counts: health checks and scrapes would hide what clients see.
    """

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._statuses: Counter[int] = Counter()
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0

    def observe(self, status: int, seconds: float) -> None:
        """Count one request.

        Args:
            status: of its answer.
            seconds: from its first byte to the answer.
        """
        self._statuses[status] += 1
        self._buckets[bisect_left(BOUNDS, seconds)] += 1
        self._seconds += seconds

    def observe_batch(self, statuses: Mapping[int, int], seconds: float) -> None:
        """Count requests that were answered together.

        Args:
            statuses: how many had each status.
            seconds: from the first byte of each to its answer.
        """
        count = sum(statuses.values())
        self._statuses.update(statuses)
        self._buckets[bisect_left(BOUNDS, seconds)] += count
        self._seconds += seconds * count

    def take(self) -> dict[str, Any]:
        """What was counted since the last call, as JSON for `add`; it is forgotten here."""
        counts = {
            "statuses": list(self._statuses.items()),
            "buckets": self._buckets,
            "seconds": self._seconds,
        }
        self._reset()
        return counts

    def add(self, counts: Mapping[str, Any]) -> None:
        """Add what another process has counted; see `take`."""
        self._statuses.update(dict(counts["statuses"]))
        self._buckets = [ours + theirs for ours, theirs in zip(self._buckets, counts["buckets"], strict=True)]
        self._seconds += counts["seconds"]

    def as_text(self, gauges: Mapping[str, float], counters: Mapping[str, float]) -> bytes:
        """The exposition text.

        Args:
            gauges: further values of now, by name.
            counters: further values that only grow; their names end in `_total`.
        """
        lines = ["# TYPE requests_total counter"]
        lines += [
            f'requests_total{{status="{status}"}} {count}' for status, count in sorted(self._statuses.items())
        ]
        lines.append("# TYPE request_seconds histogram")
        bounds = [*(f"{bound:g}" for bound in BOUNDS), "+Inf"]
        counts = list(accumulate(self._buckets))
        lines += [
            f'request_seconds_bucket{{le="{bound}"}} {count}'
            for bound, count in zip(bounds, counts, strict=True)
        ]
        lines += [f"request_seconds_sum {self._seconds:.6f}", f"request_seconds_count {counts[-1]}"]
        for kind, values in (("gauge", gauges), ("counter", counters)):
            for name, value in values.items():
                lines += [f"# TYPE {name} {kind}", f"{name} {value:g}"]
        return ("\n".join(lines) + "\n").encode()
