"""One JSON object a request, for as long as that costs little; after that, what was left out in one line.

    {"time": "2026-01-31T12:00:00.000+00:00", "level": "info", "request_id": "5f3a-1", "method": "POST",
     "path": "/invocations", "status": 200, "ms": 1.7, "bytes": 19}

A line costs the CPU of a prediction, and CloudWatch bills by the byte: at 40,000 requests a second a line
each would be 700 GB a day. So lines come out of a budget, answers of 400 and more out of one of their own,
and every few seconds one line says how many requests had none, with what statuses and times.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from operator import itemgetter
from typing import Any

import orjson

from opt_ml.serving.answers import Answer
from opt_ml.serving.line_writer import LineWriter
from opt_ml.serving.log_policy import LogPolicy
from opt_ml.serving.workers.joiner import Asker

_BURST = 100  # lines at once
_RATE = 10.0  # lines a second in the long run: 200 MB a day
_SUMMARY_PERIOD = 10.0  # seconds
_PATH_CHARACTERS = 200
_ID_CHARACTERS = 64  # as many as the API lets through (HOST-60); here a header of 64 KB may come
_STATUS = itemgetter(0)


class _Budget:
    """Lines that may be written."""

    def __init__(self, share: int) -> None:
        self._burst = max(1.0, _BURST / share)
        self._rate = _RATE / share
        self.lines = self._burst

    def refill(self, seconds: float) -> None:
        self.lines = min(self._burst, self.lines + seconds * self._rate)


class AccessLog:
    """The log of one process.

    Args:
        writer: where lines go.
        policy: which.
        share: processes that share the budget.
    """

    def __init__(self, writer: LineWriter, policy: LogPolicy, share: int = 1) -> None:
        self._writer = writer
        self._policy = policy
        self._least = policy.least_status()
        self._has_budget = policy.which != "all"
        self._budgets = (_Budget(share), _Budget(share))  # of answers under 400, and of the others
        self._refilled = self._summarized = time.monotonic()
        self._statuses: Counter[int] = Counter()  # of requests without a line
        self._times: Counter[float] = Counter()  # their seconds, in two digits
        self._prefix = os.urandom(4).hex()
        self._numbers = count(1)

    def note(self, message: str) -> None:
        """A line about the server itself."""
        if self._policy.level <= logging.INFO:
            self._write("info", message=message)

    def one(
        self,
        method: str,
        path: str,
        status: int,
        seconds: float,
        size: int,
        request_id: str | None,
        is_broken: bool = False,
    ) -> None:
        """Log one request.

        Args:
            method: its method.
            path: its target.
            status: of the answer.
            seconds: from its last byte to the answer.
            size: bytes of the answer's body.
            request_id: the client's name for it, or None.
            is_broken: its body was broken off.
        """
        if status < self._least:
            return
        if self._has_budget:
            budget = self._budgets[status >= 400]
            if budget.lines < 1:
                self._omit({status: 1}, seconds)
                return
            budget.lines -= 1
        self._write(
            "error" if status >= 500 else "warning" if status >= 400 else "info",
            request_id=(request_id or f"{self._prefix}-{next(self._numbers)}")[:_ID_CHARACTERS],
            method=method,
            path=path[:_PATH_CHARACTERS],
            status=status,
            ms=round(seconds * 1000, 1),
            bytes=size,
            **({"is_broken": True} if is_broken else {}),
        )

    def batch(self, askers: Sequence[Asker], answers: Sequence[Answer], seconds: float) -> Counter[int]:
        """Log requests for /invocations that were answered together.

        Returns:
            How many had each status.
        """
        statuses = Counter(map(_STATUS, answers))
        if len(statuses) == 1 and 200 in statuses:
            if self._least > 200:
                return statuses
            if self._has_budget and self._budgets[0].lines < 1:
                self._omit(statuses, seconds)
                return statuses
        for asker, answer in zip(askers, answers, strict=True):
            self.one("POST", "/invocations", answer.status, seconds, len(answer.body), asker.request_id)
        return statuses

    def tick(self) -> None:
        """Let time pass; called a few times a second."""
        now = time.monotonic()
        for budget in self._budgets:
            budget.refill(now - self._refilled)
        self._refilled = now
        if now - self._summarized >= _SUMMARY_PERIOD:
            self.summarize()
        self._writer.flush()

    def summarize(self) -> None:
        """Say what was left out since the last time, if anything was."""
        seconds, self._summarized = time.monotonic() - self._summarized, time.monotonic()
        if not self._statuses:
            return
        self._write(
            "info",
            message="requests without a line of their own (OPT_ML_ACCESS_LOG=all shows them)",
            seconds=round(seconds, 1),
            requests=self._statuses.total(),
            statuses={str(status): number for status, number in sorted(self._statuses.items())},
            p50_ms=_quantile(self._times, 0.50) * 1000,
            p99_ms=_quantile(self._times, 0.99) * 1000,
        )
        self._statuses.clear()
        self._times.clear()

    def take_omitted(self) -> dict[str, Any]:
        """What had no line, as JSON for `add_omitted`; it is forgotten here."""
        omitted = {"statuses": list(self._statuses.items()), "times": list(self._times.items())}
        self._statuses.clear()
        self._times.clear()
        return omitted

    def add_omitted(self, omitted: Mapping[str, Any]) -> None:
        """Put what another process left out into our next summary."""
        self._statuses.update(dict(omitted["statuses"]))
        self._times.update(dict(omitted["times"]))

    def close(self) -> None:
        """Write everything, and wait a moment for the reader."""
        self.summarize()
        self._writer.close()

    def _omit(self, statuses: Mapping[int, int], seconds: float) -> None:
        self._statuses.update(statuses)
        self._times[float(f"{seconds:.2g}")] += sum(statuses.values())

    def _write(self, level: str, **content: Any) -> None:
        stamp = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
        self._writer.write(orjson.dumps({"time": stamp, "level": level, **content}).decode() + "\n")


def _quantile(counts: Counter[float], part: float) -> float:
    """The value at `part` of all that was counted, which is not nothing."""
    left = part * counts.total()
    value = 0.0
    for value, number in sorted(counts.items()):  # noqa: B007 - the last one is the answer
        left -= number
        if left <= 0:
            break
    return value
