"""A log stream of CloudWatch Logs as GetLogEvents shows it: ordered by time stamp, read with tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


class InvalidTokenError(Exception):
    """A token of another stream, or one that is too old."""


@dataclass(frozen=True)
class Event:
    timestamp: int
    ingestion: int
    message: str


@dataclass
class LogStream:
    """Attributes:
    events: in the order in which they arrived.
    page_sizes: of the next pages, then `page_size`; 0 is an empty page before more, as the service has them.
    """

    events: list[Event] = field(default_factory=list)
    page_sizes: Iterator[int] = field(default_factory=lambda: iter(()))
    page_size: int = 1000
    _positions: dict[str, int | None] = field(default_factory=dict)
    _issued: int = 0

    def put(self, timestamp: int, message: str, ingestion: int = 0) -> None:
        self.events.append(Event(timestamp, ingestion, message))

    def expire_tokens(self) -> None:
        self._positions.clear()

    def get(self, token: str | None) -> dict:
        """A page after the event that `token` stands at: what comes in before that event is missed."""
        if token is not None and token not in self._positions:
            raise InvalidTokenError
        after = self._positions[token] if token else None
        arrivals = sorted(range(len(self.events)), key=lambda index: (self.events[index].timestamp, index))
        rest = arrivals if after is None else arrivals[arrivals.index(after) + 1 :]
        if token is not None and not rest:
            return self._page([], token)
        page = rest[: next(self.page_sizes, self.page_size)]
        self._issued += 1
        new_token = f"f/{self._issued:056d}/s"
        self._positions[new_token] = page[-1] if page else after
        return self._page(page, new_token)

    def _page(self, arrivals: list[int], token: str) -> dict:
        events = [
            {"timestamp": event.timestamp, "ingestionTime": event.ingestion, "message": event.message}
            for event in (self.events[index] for index in arrivals)
        ]
        return {"events": events, "nextForwardToken": token, "nextBackwardToken": token.replace("f/", "b/")}
