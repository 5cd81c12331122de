"""What a connection needs from the server it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from opt_ml.serving.answers import Answer
from opt_ml.serving.http.bodies import BodyMemory
from opt_ml.serving.http.request_reader import Request

if TYPE_CHECKING:
    from opt_ml.serving.http.connection import Connection


class Guest(Protocol):
    """What a server needs from a connection, whatever it speaks."""

    def drain(self, grace: float) -> None:
        """Close where nothing has come for `grace` seconds; called again and again while the server stops."""

    def end_without_progress(self, timeout: float) -> None:
        """End the connection where nothing moved for `timeout` seconds; called now and then."""


class Server(Protocol):
    """One server.

    Attributes:
        max_body: bytes of one request body, or None for no limit.
        body_memory: what the bodies of all requests may take.
        is_draining: each answer is the last of its connection.
        now: event loop time, at most one tick old.
        date: the Date header, likewise.
        connections: all open ones; they enter and leave by themselves.
    """

    max_body: int | None
    body_memory: BodyMemory
    is_draining: bool
    now: float
    date: bytes
    connections: set[Guest]

    def handle(self, request: Request, connection: Connection) -> Callable[[], None] | None:
        """Answer by `connection.respond`, now or later; what is returned is called if the client goes."""

    def log(self, request: Request, answer: Answer, sent: int, is_broken: bool = False) -> None:
        """Write the access log.

        Args:
            request: the request.
            answer: what it got.
            sent: bytes of the body.
            is_broken: it is a stream that did not become whole.
        """
