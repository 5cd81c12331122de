"""The streams of a server: starts their process at the first upgrade, and lets clients wait for it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from opt_ml.serving.answers import Answer, error_answer
from opt_ml.serving.bidirectional.link import Link
from opt_ml.serving.http.request_reader import Request
from opt_ml.serving.http.server import Guest
from opt_ml.serving.settings import Settings
from opt_ml.serving.workers.processes import Children, describe_end, pause_after

if TYPE_CHECKING:  # the package behind it takes 50 ms to import, which most servers never need
    from opt_ml.serving.bidirectional.relay import Relay

_SWITCHED = Answer(101)


class Upgradable(Protocol):
    """A connection that may change its protocol: `serving.connection.Connection`."""

    def respond(self, answer: Answer) -> None:
        """Stay with HTTP."""

    def upgrade(self, protocol: asyncio.Protocol) -> asyncio.Transport:
        """Leave the connection to `protocol`."""


class Owner(Protocol):
    """The server that has the streams: `serving.front.Front`."""

    now: float

    def on_relay(self, relay: Guest, is_open: bool) -> None:
        """A stream begins or has ended."""

    def log(self, request: Request, answer: Answer, sent: int, is_broken: bool = False) -> None:
        """Write the access log."""


class Streams:
    """See the module.

    Args:
        settings: of the server.
        owner: see `Owner`.
        children: who knows how the process ended.
    """

    def __init__(self, settings: Settings, owner: Owner, children: Children) -> None:
        self._settings = settings
        self._owner = owner
        self._children = children
        self._link: Link | None = None
        self._is_ready = False
        self._is_absent = False  # the handler has no bidirectional_fn
        self._failures = 0
        self._cause: str | None = None
        self._waiting: dict[Upgradable, Request] = {}
        self._open = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def gauges(self) -> dict[str, float]:
        """The state of now, for /metrics."""
        return {"streams_open": self._open} if self._open else {}

    def ask(self, request: Request, connection: Upgradable) -> Callable[[], None]:
        """Answer an upgrade, now or when the process is ready; see `Server.handle`."""
        if self._is_absent:
            connection.respond(_absent())
        elif self._is_ready:
            self._begin(request, connection)
        else:
            try:
                if self._link is None:
                    self._start()
                self._waiting[connection] = request
            except OSError as error:  # no memory, or no process or file left
                cause = f"The process of the streams cannot be started: {error}."
                connection.respond(error_answer(503, cause, retry_after=1))
        return partial(self._give_up, connection)

    def _give_up(self, connection: Upgradable) -> None:
        self._waiting.pop(connection, None)

    def close(self) -> None:
        """End the process; how it ends is no news then."""
        link, self._link = self._link, None
        if link is not None:
            link.close()
            link.kill()

    def _start(self) -> None:
        self._is_ready, self._cause = False, None
        link = self._link = Link(self._settings, self._on_state, self._on_lost)
        self._children.watch(link.process)
        self._keep(asyncio.get_running_loop().create_task(link.connect()))

    def _on_state(self, header: dict[str, Any], body: bytes) -> None:
        event = header["event"]
        if event == "ready":
            self._is_ready = True
            for connection, request in self._take_waiting():
                self._begin(request, connection)
        elif event == "absent":
            self._is_absent = True
            for connection, _ in self._take_waiting():
                connection.respond(_absent())
        else:
            self._cause = header["cause"]
            print(f"{self._cause}\n{body.decode(errors='replace')}".rstrip(), file=sys.stderr, flush=True)

    def _on_lost(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.kill()  # nothing of it may linger, whichever way it lost its socket
            self._keep(asyncio.get_running_loop().create_task(self._bury(link.process)))

    async def _bury(self, process: int) -> None:
        end = describe_end(await self._children.take(process))
        if self._is_absent:
            return
        was_ready, self._is_ready = self._is_ready, False
        self._failures = 0 if was_ready else self._failures + 1
        cause = self._cause or f"The process of the streams {end}."
        print(cause, file=sys.stderr, flush=True)
        for connection, _ in self._take_waiting():
            connection.respond(error_answer(503, cause, retry_after=int(pause_after(self._failures)) + 1))

    def _begin(self, request: Request, connection: Upgradable) -> None:
        from opt_ml.serving.bidirectional.relay import Relay

        link = self._link
        if link is None:
            connection.respond(error_answer(503, "The process of the streams has ended. Try again."))
            return
        relay = Relay(
            request, self._settings.max_body, lambda: self._owner.now, partial(self._on_gone, request)
        )
        if relay.refusal is not None:
            connection.respond(relay.refusal)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers.items()}
        self._open += 1
        self._owner.on_relay(relay, is_open=True)
        transport = connection.upgrade(relay)
        relay.begin(transport, link.open(relay, request.target.decode("latin-1"), headers))

    def _on_gone(self, request: Request, relay: Relay, sent: int) -> None:
        self._open -= 1
        self._owner.on_relay(relay, is_open=False)
        self._owner.log(request, _SWITCHED, sent)

    def _take_waiting(self) -> list[tuple[Upgradable, Request]]:
        waiting, self._waiting = self._waiting, {}
        return list(waiting.items())

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _absent() -> Answer:
    return error_answer(
        404,
        "The model's handler has no bidirectional_fn(stream, model). Define it as a coroutine function "
        "in code/inference.py, or POST /invocations.",
    )
