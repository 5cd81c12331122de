"""The leader's end of the lanes: starts them, deals connections out, and brings back the dead."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from opt_ml.serving.quick.channel import Channel, Message, content_of
from opt_ml.serving.settings import Settings
from opt_ml.serving.workers.processes import Children, Starts, describe_end, kill_worker, start_worker


class LaneOwner(Protocol):
    """Who hears from lanes."""

    def on_handed_over(self, client: socket.socket, received: bytes) -> None:
        """Serve a client that has sent `received`, which has no answer yet."""

    def on_report(self, metrics: Mapping[str, Any], omitted: Mapping[str, Any]) -> None:
        """What a lane has answered since its last report; see `Lane`."""


@dataclass(eq=False)
class LaneLink:
    """One lane.

    Attributes:
        connections: that it has, as far as is known.
        is_ready: its model is loaded.
        since: event loop time of its start.
    """

    process: int
    since: float
    channel: Channel = None  # type: ignore[assignment]  # set before any other use
    connections: int = 0
    is_ready: bool = False


class Lanes:
    """All lanes of one leader.

    Args:
        count: how many.
        settings: of the leader.
        owner: see `LaneOwner`.
        children: of the leader.
    """

    def __init__(self, count: int, settings: Settings, owner: LaneOwner, children: Children) -> None:
        self._loop = asyncio.get_running_loop()
        self._count = count
        self._settings = settings
        self._owner = owner
        self._children = children
        self._links: set[LaneLink] = set()
        self._starts = Starts()
        self._is_healthy = False
        self._is_closing = False
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Start all; each serves as soon as it has loaded the model."""
        for _ in range(self._count):
            self._start()

    @property
    def is_empty(self) -> bool:
        """True when all have ended."""
        return not self._links

    @property
    def ready(self) -> int:
        """How many serve."""
        return len(self._ready)

    @property
    def awaited(self) -> int:
        """How many there will be, as far as is known."""
        return len(self._links) if self._starts.are_hopeless else self._count

    @property
    def _ready(self) -> list[LaneLink]:
        return [link for link in self._links if link.is_ready]

    @property
    def clients(self) -> int:
        """How many they have together, as far as is known."""
        return sum(link.connections for link in self._links)

    def deal(self, client: socket.socket, own: int) -> bool:
        """Give a new client to the lane with the fewest connections.

        Args:
            client: its socket, which is closed here if it is given away.
            own: connections of the leader, which comes first among equals.

        Returns:
            False where the leader itself has the fewest.
        """
        link = min(self._ready, key=lambda one: one.connections, default=None)
        if link is None or link.connections >= own:
            return False
        link.connections += 1
        link.channel.send({"event": "client"}, (client.detach(),))
        return True

    def have_room(self, own: int) -> bool:
        """True where one has fewer connections than `own`."""
        return any(link.connections < own for link in self._ready)

    def set_health(self, is_healthy: bool) -> None:
        """Say what GET /ping is to answer."""
        if is_healthy != self._is_healthy:
            self._is_healthy = is_healthy
            for link in self._links:
                link.channel.send({"event": "health", "is_healthy": is_healthy})

    def drain(self) -> None:
        """Let all hand over or finish what they have, and end."""
        self._is_closing = True
        for link in self._links:
            link.channel.send({"event": "drain"})

    def close(self) -> None:
        """End all at once."""
        self._is_closing = True
        for link in self._links:
            kill_worker(link.process)

    def _start(self) -> None:
        given = {
            "model_dir": str(self._settings.model_dir),
            "idle_timeout": self._settings.idle_timeout,
            "which": self._settings.log.which,
            "level": self._settings.log.level,
            "share": self._count + 1,
        }
        arguments = [orjson.dumps(given).decode()]
        try:
            process, connection = start_worker(
                "opt_ml.serving.quick.lane", arguments, self._count + 1, kind=socket.SOCK_SEQPACKET
            )
        except OSError as error:
            self._starts.count(None)
            self._keep(self._replace(f"cannot be started ({error})"))
            return
        self._children.watch(process)
        link = LaneLink(process, self._loop.time())
        link.channel = Channel(
            connection,
            lambda message, descriptors: self._on_message(link, message, descriptors),
            lambda: self._keep(self._bury(link)),
        )
        self._links.add(link)

    def _on_message(self, link: LaneLink, message: Message, descriptors: list[int]) -> None:
        match message["event"]:
            case "ready":
                link.is_ready = True
                link.channel.send({"event": "health", "is_healthy": self._is_healthy})
            case "client" if len(descriptors) == 2:
                self._owner.on_handed_over(socket.socket(fileno=descriptors[0]), content_of(descriptors[1]))
            case "client":  # the kernel found no room for them: the client sees a closed connection
                for descriptor in descriptors:
                    os.close(descriptor)
            case "report":
                link.connections -= message["ended"]
                self._owner.on_report(message["metrics"], message["omitted"])

    async def _bury(self, link: LaneLink) -> None:
        self._links.discard(link)
        kill_worker(link.process)
        end = describe_end(await self._children.take(link.process))
        if self._is_closing:
            return
        self._starts.count(self._loop.time() - link.since if link.is_ready else None)
        await self._replace(end)

    async def _replace(self, end: str) -> None:
        """Start another, after a pause that grows with the failures before."""
        if self._starts.are_hopeless:
            _tell(f"A lane {end}. Serving goes on with {self.ready} beside the leader.")
            return
        _tell(f"A lane {end} and is replaced.")
        await self._starts.pause()
        if not self._is_closing:
            self._start()

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _tell(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
