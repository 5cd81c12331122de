"""The front's end of one shared process; see `host` for the frames."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from opt_ml.errors import is_out_of_memory
from opt_ml.serving.answers import Answer, error_answer
from opt_ml.serving.multi_model.memory import LoadError
from opt_ml.serving.workers.frames import FrameBuffer, cut, head
from opt_ml.serving.workers.jobs import Job
from opt_ml.serving.workers.processes import kill_worker, start_worker

if TYPE_CHECKING:
    from opt_ml.serving.multi_model.shared import SharedModel

_MODULE = "opt_ml.serving.multi_model.host"


class Group(NamedTuple):
    """Requests to one model that are predicted together."""

    model: SharedModel
    jobs: Sequence[Job]


class HostLostError(Exception):
    """A shared process died before it did what it was told."""


class Owner(Protocol):
    """Who hears from a shared process."""

    def on_ready(self) -> None:
        """It waits for orders."""

    def on_answers(
        self, groups: Sequence[Group], seconds: list[float], answers: list[list[Answer | None]]
    ) -> None:
        """What it worked on is done: how long each group took, and its answers, None where one comes late."""

    def on_late(self, model: SharedModel, job: Job, answer: Answer) -> None:
        """An answer that was None in `on_answers`."""

    def on_lost(self) -> None:
        """The socket is closed: nothing more will come."""


class HostLink(asyncio.Protocol):
    """One shared process.

    Attributes:
        groups: what it works on; empty while it is idle.
        late: requests whose answers come late, by their place.
        loaded: keys of the models that it has.
        since: event loop time at which it began with that.
        ready_at: event loop time at which it was ready for orders, or None.
        is_expired: it was ended because a request took too long.
        is_starved: it was ended because a load took the last memory.
        is_ended: it was told to end.
        is_lost: its socket is closed.
        end: how it ended, in words, once the kernel has said so.
    """

    def __init__(self, owner: Owner, workers: int) -> None:
        self._owner = owner
        self._buffer = FrameBuffer()
        self._transport: asyncio.Transport | None = None
        self._orders: dict[tuple[str, int], asyncio.Future[dict[str, Any]]] = {}
        self.process, self._socket = start_worker(_MODULE, [], workers)
        self.groups: Sequence[Group] = ()
        self.late: dict[tuple[int, int], tuple[SharedModel, Job]] = {}
        self._call = 0
        self.loaded: set[int] = set()
        self.since = 0.0
        self.ready_at: float | None = None
        self.is_expired = False
        self.is_starved = False
        self.is_ended = False
        self.is_lost = False
        self.end: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def is_alive(self) -> bool:
        """True while it can serve."""
        return self.ready_at is not None and not (self.is_ended or self.is_lost)

    async def connect(self) -> None:
        """Begin to listen to the process."""
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=self._socket)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The event loop watches the socket."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Frames from the process."""
        for header, body in self._buffer.feed(data):
            self._on_frame(header, body)

    def connection_lost(self, error: Exception | None) -> None:
        """The process has closed its end, or is dead."""
        self.is_lost = True
        for order in self._orders.values():
            if not order.done():
                order.set_exception(HostLostError())
        self._owner.on_lost()

    async def load(self, key: int, directory: Path) -> dict[str, Any]:
        """Let it load a model; `joins` and `wants_headers` of the model.

        Raises:
            LoadError: the handler cannot.
            HostLostError: the process died meanwhile.
        """
        return await self._order("load", key, {"load": key, "directory": str(directory)})

    async def unload(self, key: int) -> None:
        """Let it unload a model, and give its memory back.

        Raises:
            HostLostError: the process died meanwhile.
        """
        await self._order("unload", key, {"unload": key})

    def run(self, groups: Sequence[Group], now: float) -> None:
        """Give it requests; it must have none."""
        self.groups, self.since = groups, now
        described = [
            (group.model.key, [job.describe(group.model.wants_headers) for job in group.jobs])
            for group in groups
        ]
        bodies = [job.body for group in groups for job in group.jobs]
        self._call += 1
        self._write(head({"call": self._call, "groups": described}, sum(map(len, bodies))), *bodies)

    def close(self) -> None:
        """Let it end after what it does now."""
        if self._transport is not None:
            self._transport.close()

    def kill(self) -> None:
        """End it now."""
        self.is_ended = True
        kill_worker(self.process)

    def starve(self) -> None:
        """End it now, because what it loads takes the last memory."""
        self.is_starved = True
        self.kill()

    def expire(self, now: float, timeout: float) -> None:
        """Answer for requests that take longer than `timeout` seconds, and end what works on them.

        A request whose answer comes late waits for a load, which others wait for, too: it is only answered.
        """
        answer = error_answer(
            504, f"The prediction took longer than {timeout:g} seconds (SAGEMAKER_MODEL_SERVER_TIMEOUT)."
        )
        for _, job in self.late.values():
            if job.since < now - timeout:
                job.finish(answer)
        if self.groups and self.since < now - timeout and not self.is_expired:
            self.is_expired = True
            for group in self.groups:
                for job in group.jobs:
                    job.finish(answer)
            self.kill()

    def explain(self, end: str) -> LoadError:
        """Why it died while it loaded a model.

        Args:
            end: how, in words.
        """
        if self.is_starved:
            return LoadError(507, "Not enough memory: the model took all that was left. Unload another one.")
        if "SIGKILL" in end:  # nobody else kills here
            return LoadError(507, f"Not enough memory: the process {end} while it loaded the model.")
        return LoadError(500, f"The process {end} while it loaded the model.")

    def _on_frame(self, header: dict[str, Any], body: bytes) -> None:
        match header["event"]:
            case "answers":
                if not self.is_expired:
                    self._on_answers(header["call"], header["groups"], body)
            case "late":
                model, job = self.late.pop((header["late"][0], header["late"][1]))
                self._owner.on_late(model, job, _answer(header["answer"], body))
            case "loaded":
                self.loaded.add(header["key"])
                self._settle("load", header)
            case "unloaded":
                self.loaded.discard(header["key"])
                self._settle("unload", header)
            case "failed":
                order = self._orders.pop(("load", header["key"]), None)
                if order is not None and not order.done():
                    order.set_exception(_load_error(header, body))
            case "ready":
                self._owner.on_ready()

    def _on_answers(self, call: int, groups: list[tuple[float, list[Any]]], body: bytes) -> None:
        done, self.groups = self.groups, ()
        every = [facts for _, found in groups for facts in found]
        jobs = [(group.model, job) for group in done for job in group.jobs]
        for place, facts in enumerate(every):
            if facts is None:
                self.late[call, place] = jobs[place]
        bodies = iter(cut(body, (facts[2] for facts in every if facts is not None)))
        answers = [
            [None if facts is None else _answer(facts, next(bodies)) for facts in found]
            for _, found in groups
        ]
        self._owner.on_answers(done, [seconds for seconds, _ in groups], answers)

    async def _order(self, kind: str, key: int, header: dict[str, Any]) -> dict[str, Any]:
        if self.is_lost:
            raise HostLostError
        order: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._orders[kind, key] = order
        self._write(head(header, 0))
        return await order

    def _settle(self, kind: str, header: dict[str, Any]) -> None:
        order = self._orders.pop((kind, header["key"]), None)
        if order is not None and not order.done():
            order.set_result(header)

    def _write(self, *parts: bytes) -> None:
        if self._transport is None:
            raise RuntimeError("the process is not connected")
        self._transport.write(b"".join(parts))


def _load_error(header: dict[str, Any], traceback: bytes) -> LoadError:
    status = 400 if header["is_users"] else 507 if is_out_of_memory(header["cause"]) else 500
    return LoadError(status, header["cause"], traceback.decode(errors="replace"))


def _answer(facts: list[Any], body: bytes) -> Answer:
    status, content_type, _, headers = facts
    return Answer(status, content_type, body, headers=tuple(map(tuple, headers)))
