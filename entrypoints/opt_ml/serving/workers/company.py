"""Whether a worker that has just become free waits a moment for the requests that are about to come."""

from __future__ import annotations

_SHARE = 0.25  # of the time that the last call took
_LONGEST = 0.005  # seconds; a client that asks again does so sooner


class Company:
    """How many requests a worker may expect together.

    Clients that were answered together ask again together, a moment later. Were the first of them taken at
    once, it would have a prediction to itself, and all others would wait for that. After a call of a single
    request nothing waits.
    """

    def __init__(self) -> None:
        self._size = 1
        self.until = 0.0

    def note(self, size: int, began: float, now: float) -> None:
        """A call of so many requests, begun then, has ended now; times are those of the event loop."""
        self._size = size
        self.until = now + min(_SHARE * (now - began), _LONGEST) if size > 1 else now

    def is_awaited(self, waiting: int, now: float) -> bool:
        """True where so many that wait are fewer than will soon be here."""
        return waiting < self._size and now < self.until
