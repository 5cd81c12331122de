"""The leader's part of the quick path: new clients, small requests, and the lanes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

from opt_ml.serving.access_log import AccessLog
from opt_ml.serving.answers import Answer
from opt_ml.serving.http.acceptor import adopt, switch
from opt_ml.serving.http.connection import Connection
from opt_ml.serving.http.plain_http import BODY_LIMIT, NOT_QUICK, PlainHeads
from opt_ml.serving.http.request_reader import Request
from opt_ml.serving.http.server import Guest
from opt_ml.serving.metrics import Metrics
from opt_ml.serving.quick import Quick, QuickRequest
from opt_ml.serving.quick.lane import count_answers
from opt_ml.serving.quick.lanes import Lanes
from opt_ml.serving.quick.quick_connection import AnswerHeads, QuickConnection
from opt_ml.serving.settings import Settings
from opt_ml.serving.workers.joiner import Asker, Guard, Joiner
from opt_ml.serving.workers.processes import Children


class Leader(Protocol):
    """What the quick path needs from the leader.

    Attributes:
        connections: of the full server.
    """

    connections: set[Guest]

    def new_connection(self) -> Connection:
        """A connection of the full server."""


class QuickPath:
    """See `quick_connection.QuickServer` for what its connections use of it.

    Args:
        quick: what predicts.
        settings: see `Settings`.
        leader: serves what the quick path does not.
        children: of the leader.
        metrics: of the container.
        log: likewise.
    """

    def __init__(
        self,
        quick: Quick,
        settings: Settings,
        leader: Leader,
        children: Children,
        metrics: Metrics,
        log: AccessLog,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle_timeout = settings.idle_timeout
        self._leader = leader
        self._metrics = metrics
        self._log = log
        self._lanes = Lanes(settings.lanes - 1, settings, self, children)
        guard = Guard(quick)
        self._full_joiner = Joiner(guard)  # of requests that came over full connections
        self._is_draining = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.now = 0.0
        self.is_healthy = True
        self.plain_heads = PlainHeads()
        self.answer_heads = AnswerHeads()
        self.joiner = Joiner(guard, self._on_answered)
        self.quick_connections: set[QuickConnection] = set()

    def start(self) -> None:
        """Start the lanes."""
        self._lanes.start()

    @property
    def is_busy(self) -> bool:
        """True while a client or a lane is left."""
        return bool(self.quick_connections or self._tasks) or not self._lanes.is_empty

    @property
    def clients(self) -> int:
        """How many this process and the lanes have, besides those of the full server."""
        return len(self.quick_connections) + len(self._tasks) + self._lanes.clients

    def gauges(self) -> dict[str, float]:
        """The state of now, for /metrics."""
        return {"lanes_ready": 1 + self._lanes.ready}

    def on_client(self, client: socket.socket) -> None:
        """Serve a new client here or on a lane."""
        if self._is_draining:
            self._keep(adopt(client, self._leader.new_connection()))
            return
        if not self._lanes.deal(client, self._own):
            self._keep(adopt(client, QuickConnection(self)))

    def hand_over(self, transport: asyncio.Transport, received: bytes) -> bool:
        """See `QuickServer`."""
        switch(transport, self._leader.new_connection(), received)
        return True

    def on_handed_over(self, client: socket.socket, received: bytes) -> None:
        """See `LaneOwner`."""
        self._keep(adopt(client, self._leader.new_connection(), received))

    def on_report(self, metrics: Mapping[str, Any], omitted: Mapping[str, Any]) -> None:
        """See `LaneOwner`."""
        self._metrics.add(metrics)
        self._log.add_omitted(omitted)

    def takes(self, request: Request) -> bool:
        """True for a request that may have a quick answer."""
        is_small = request.spool is None and len(request.body) <= BODY_LIMIT
        return is_small and NOT_QUICK.isdisjoint(request.headers)

    def ask(self, request: Request, on_answer: Callable[[Answer | None], None]) -> Callable[[], None]:
        """Answer a request of a full connection.

        Args:
            request: that this `takes`.
            on_answer: called once with the answer, or None where a worker must do it.

        Returns:
            What to call if the client goes.
        """
        asker = _FullAsker(on_answer)
        asked = QuickRequest(request.body, request.header(b"content-type"), request.header(b"accept"))
        self._full_joiner.add(asked, asker)
        return asker.cancel

    def tick(self, now: float, date: bytes, is_healthy: bool) -> None:
        """Let time pass; called a few times a second."""
        self.now = now
        self.answer_heads.set_date(date)
        self.is_healthy = is_healthy
        self._lanes.set_health(is_healthy)
        for connection in list(self.quick_connections):
            connection.look_after(self._idle_timeout)
        if not self._is_draining:
            self._share_out()

    def drain(self) -> None:
        """Hand everything over to the leader that is not idle; called until nothing is left."""
        if not self._is_draining:
            self._is_draining = True
            self._lanes.drain()
        for connection in list(self.quick_connections):
            connection.drain()

    def close(self) -> None:
        """End the lanes."""
        self._lanes.close()

    @property
    def _own(self) -> int:
        """Clients of this process."""
        return len(self.quick_connections) + len(self._tasks) + len(self._leader.connections)

    def _share_out(self) -> None:
        """Give the lanes their part of the clients that came before they were ready, and stay.

        None gets more than its part where others are still to come, or the first would have the most.
        """
        part = (self._own + self._lanes.clients) // (1 + self._lanes.awaited)
        for connection in list(self.quick_connections):
            if not self._lanes.have_room(min(part, self._own - 1)):
                return
            client = connection.release()
            if client is not None:
                self.on_client(client)

    def _on_answered(self, askers: Sequence[Asker], answers: Sequence[Answer | None], seconds: float) -> None:
        self._metrics.observe_batch(count_answers(self._log, askers, answers, seconds), seconds)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _FullAsker:
    """A request of a full connection, which logs and counts it by itself."""

    def __init__(self, on_answer: Callable[[Answer | None], None]) -> None:
        self.request_id: str | None = None
        self._on_answer = on_answer
        self._is_wanted = True

    def deliver(self, answer: Answer | None) -> None:
        """See `Asker`."""
        if self._is_wanted:
            self._on_answer(answer)

    def cancel(self) -> None:
        """The client has gone."""
        self._is_wanted = False
