"""Requests on their way through the front process: waiting for a worker, then part of a call to one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from opt_ml.serving.answers import Answer

if TYPE_CHECKING:  # workers import this module, and parse no HTTP
    from opt_ml.serving.http.request_reader import Request

RequestFacts = (
    tuple[str | None, str | None, int, dict[str, str] | None, bool]
    | tuple[str | None, str | None, int, dict[str, str] | None, bool, str]
)


class Client(Protocol):
    """Where an answer goes: `serving.connection.Connection`."""

    def respond(self, answer: Answer) -> None:
        """The whole answer."""

    def start(self, answer: Answer, hold: Callable[[bool], None]) -> None:
        """The head of an answer whose body comes in parts.

        Args:
            answer: without its body.
            hold: called with True when the client does not read, and with False when it does again.
        """

    def send(self, part: bytes) -> None:
        """The next part of the body."""

    def finish(self) -> None:
        """The body is whole."""

    def abort(self) -> None:
        """The body will never be whole, and the client is to notice (HOST-68)."""


class Job:
    """One request on its way to a worker.

    Args:
        request: whose body it takes over; what is on disk of it stays the connection's.
        client: gets the answer, unless it has gone.
        is_chat: it came to the path of chat completions.

    Attributes:
        since: event loop time at which it began to wait.
        is_wanted: False once the client has gone or has its answer.
        is_alone: it is not joined with others, because a worker died of it or of one beside it, because
            it is large, or a chat.
        is_streaming: the head of its answer is sent.
    """

    __slots__ = (
        "_client",
        "_is_chat",
        "_spool",
        "body",
        "headers",
        "is_alone",
        "is_streaming",
        "is_wanted",
        "since",
    )

    def __init__(self, request: Request, client: Client, is_chat: bool = False) -> None:
        self._client = client
        self._is_chat = is_chat
        self._spool = request.spool
        self.body, request.body = request.body, b""
        self.headers = request.headers
        self.since = 0.0
        self.is_wanted = True
        self.is_alone = is_chat or request.spool is not None
        self.is_streaming = False

    def describe(self, wants_headers: bool) -> RequestFacts:
        """The request without its body, as `frames` says."""
        content_type, accept = self.headers.get(b"content-type"), self.headers.get(b"accept")
        facts = (
            None if content_type is None else content_type.decode("latin-1"),
            None if accept is None else accept.decode("latin-1"),
            len(self.body),
            {name.decode("latin-1"): value.decode("latin-1") for name, value in self.headers.items()}
            if wants_headers
            else None,
            self._is_chat,
        )
        return facts if self._spool is None else (*facts, self._spool.path)

    def finish(self, answer: Answer) -> None:
        """Deliver the first answer; later ones, and answers to nobody, are dropped.

        In the middle of a stream it is too late for an answer: the stream is broken off.
        """
        if not self.is_wanted:
            return
        self.is_wanted = False
        if self.is_streaming:
            self._client.abort()
        else:
            self._client.respond(answer)

    def start(self, answer: Answer, hold: Callable[[bool], None]) -> None:
        """See `Client.start`."""
        if self.is_wanted:
            self.is_streaming = True
            self._client.start(answer, hold)

    def send(self, part: bytes) -> None:
        """See `Client.send`."""
        if self.is_wanted:
            self._client.send(part)

    def end(self) -> None:
        """See `Client.finish`."""
        if self.is_wanted:
            self.is_wanted = False
            self._client.finish()


class Call:
    """What a worker was asked to do at once: one job, or several that are predicted together.

    Attributes:
        number: unlike that of any other call of the same worker.
        began: event loop time at which the worker got it.
        since: event loop time of the last sign of life: its begin, or a part of its stream.
        is_streaming: its answer comes in parts.
        is_held: its stream waits for the client.
        is_cancelled: nobody wants it any more, and the worker was told.
    """

    __slots__ = ("began", "is_cancelled", "is_held", "is_streaming", "jobs", "number", "since")

    def __init__(self, number: int, jobs: Sequence[Job], now: float) -> None:
        self.number = number
        self.jobs = jobs
        self.began = self.since = now
        self.is_streaming = False
        self.is_held = False
        self.is_cancelled = False
