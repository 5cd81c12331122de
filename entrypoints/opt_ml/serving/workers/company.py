"""Whether a worker that has just become free waits a moment for the requests that are about to come."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

_SHARE = 0.25  # of the time that the last call took
_LONGEST = 0.005  # seconds; a client that asks again does so sooner


class Company:
    """How many requests a worker may expect together.

    Clients that were answered together ask again together, a moment later. Were the first of them taken at
    once, it would have a prediction to itself, and all others would wait for that. After a call of a single
    request nothing waits.

    Args:
        clock: seconds. Not the event loop's: uvloop's counts whole milliseconds, in which a small model has
            answered them all.
    """

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._size = 1
        self._began = self._until = 0.0

    def begin(self) -> None:
        """A call begins."""
        self._began = self._clock()

    def end(self, size: int) -> float:
        """A call of so many requests has ended now; the seconds for which others are waited for."""
        now = self._clock()
        self._size = size
        wait = min(_SHARE * (now - self._began), _LONGEST) if size > 1 else 0.0
        self._until = now + wait
        return wait

    def is_awaited(self, waiting: int) -> bool:
        """True where so many that wait are fewer than will soon be here."""
        return waiting < self._size and self._clock() < self._until
