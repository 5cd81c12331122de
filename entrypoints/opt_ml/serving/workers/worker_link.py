"""The front's end of one worker: its process, its socket, and the calls that it works on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from opt_ml.serving.answers import Answer
from opt_ml.serving.settings import Settings
from opt_ml.serving.workers.company import Company
from opt_ml.serving.workers.frames import FrameBuffer, FrameError, cut, head
from opt_ml.serving.workers.jobs import Call, Job
from opt_ml.serving.workers.processes import kill_worker, start_worker

_COPY_LIMIT = 1 << 16


class Owner(Protocol):
    """Who hears from a worker."""

    def on_ready(self, link: WorkerLink) -> None:
        """The model is loaded."""

    def on_failed(self, link: WorkerLink, cause: str, details: str) -> None:
        """The model could not be loaded; the process ends next."""

    def on_answers(self, link: WorkerLink, call: Call, answers: list[Answer]) -> None:
        """The answers to `call.jobs`, in their order; the call has ended."""

    def on_end(self, link: WorkerLink, call: Call, cause: str | None) -> None:
        """The call has ended: its stream is whole, or broke of `cause`, or it was cancelled."""

    def on_lost(self, link: WorkerLink) -> None:
        """The socket is closed: nothing more will come."""


class WorkerLink(asyncio.Protocol):
    """One worker process.

    Args:
        owner: see `Owner`.
        settings: of the pool.
        variables: of its environment, beside our own.

    Attributes:
        calls: what it works on, by number.
        joins: its handler predicts several requests at once.
        wants_headers: its handler takes a context.
        concurrency: calls that it may work on at once.
        company: how many requests it may expect together.
        ready_at: event loop time at which the model was loaded, or None.
        failure: why it could not load the model, as (cause, traceback or empty), or None.
        is_expired: it was ended because a request took too long.
        is_lost: its socket is closed.
    """

    def __init__(
        self,
        owner: Owner,
        settings: Settings,
        variables: Mapping[str, str],
    ) -> None:
        self._owner = owner
        self._buffer = FrameBuffer()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._last_number = 0
        self._settings = settings
        self.process, self._socket = start_worker(
            "opt_ml.serving.workers.worker",
            [str(settings.model_dir)],
            settings.sharers or settings.workers,
            variables,
        )
        self.calls: dict[int, Call] = {}
        self.joins = False
        self.wants_headers = False
        self.concurrency = 1
        self.company = Company()
        self.ready_at: float | None = None
        self.failure: tuple[str, str] | None = None
        self.is_expired = False
        self.is_lost = False

    @property
    def is_alive(self) -> bool:
        """True while it has its model and can serve."""
        return self.ready_at is not None and not self.is_expired and not self.is_lost

    @property
    def has_room(self) -> bool:
        """True where it can take one call more."""
        return len(self.calls) < self.concurrency and not self.is_lost

    async def connect(self) -> None:
        """Begin to listen to the worker."""
        await self._loop.create_unix_connection(lambda: self, sock=self._socket)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The event loop watches the socket."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Frames from the worker."""
        try:
            for header, body in self._buffer.feed(data):
                self._on_frame(header, body)
        except FrameError:  # the handler has written into our socket
            self.kill()
            self.close()

    def _on_frame(self, header: dict[str, Any], body: bytes) -> None:
        match header["event"]:
            case "answers":
                call = self.calls.pop(header["call"], None)
                if call is not None and not self.is_expired:
                    bodies = cut(body, (facts[2] for facts in header["answers"]))
                    answers = [
                        _answer(facts, part) for facts, part in zip(header["answers"], bodies, strict=True)
                    ]
                    self._owner.on_answers(self, call, answers)
            case "part":
                self._on_part(header["call"], body)
            case "start":
                self._on_start(header["call"], _answer(header["answer"], b""))
                self._on_part(header["call"], body)
            case "end":
                call = self.calls.pop(header["call"], None)
                if call is not None and not self.is_expired:
                    self._owner.on_end(self, call, header["cause"])
            case "ready":
                self.joins = header["joins"]
                self.wants_headers = header["wants_headers"]
                self.concurrency = self._settings.concurrency if header["is_async"] else 1
                self._owner.on_ready(self)
            case "failed":
                self._owner.on_failed(self, header["cause"], body.decode(errors="replace"))

    def _on_start(self, number: int, answer: Answer) -> None:
        call = self.calls.get(number)
        if call is None or self.is_expired:
            return
        call.is_streaming = True
        [job] = call.jobs
        if job.is_wanted:
            job.start(answer, partial(self._hold, call))
        else:
            self.cancel(call)  # the client went before anyone knew that this would be a stream

    def _on_part(self, number: int, part: bytes) -> None:
        call = self.calls.get(number)
        if call is None or call.is_cancelled:
            return
        call.since = self._loop.time()
        if part:
            call.jobs[0].send(part)

    def _hold(self, call: Call, is_held: bool) -> None:
        """Let a stream wait while its client does not read: what lies here of it is bounded."""
        if call.number in self.calls and not call.is_cancelled:
            call.is_held = is_held
            call.since = self._loop.time()
            self._tell({"hold" if is_held else "go": call.number})

    def connection_lost(self, error: Exception | None) -> None:
        """The worker has closed its end, or is dead."""
        self.is_lost = True
        self._owner.on_lost(self)

    def run(self, jobs: Sequence[Job], now: float) -> None:
        """Give it a call; it must have room."""
        self._last_number += 1
        self.company.begin()
        self.calls[self._last_number] = Call(self._last_number, jobs, now)
        requests = [job.describe(self.wants_headers) for job in jobs]
        length = sum(len(job.body) for job in jobs)
        parts = [head({"call": self._last_number, "requests": requests}, length), *(job.body for job in jobs)]
        transport = self._transport
        if transport is None:
            raise RuntimeError("the worker is not connected")
        if length > _COPY_LIMIT:
            transport.writelines(parts)
        else:
            transport.write(b"".join(parts))
        if len(jobs) == 1:
            jobs[0].body = b""  # the worker has it now; joined ones are small, and may have to go again

    def can_cancel(self, call: Call) -> bool:
        """True where the worker listens meanwhile: between parts of a stream, or while it awaits."""
        return not call.is_cancelled and (call.is_streaming or self.concurrency > 1)

    def cancel(self, call: Call) -> None:
        """Tell it that nobody wants the call any more; it says when it has ended it."""
        call.is_cancelled = True
        call.is_held = False
        call.since = self._loop.time()
        self._tell({"cancel": call.number})

    def close(self) -> None:
        """Let it end after what it does now."""
        if self._transport is not None:
            self._transport.close()

    def kill(self) -> None:
        """End it now."""
        kill_worker(self.process)

    def obituary(self, end: str) -> tuple[str, str]:
        """Why it is no more, for the log: the cause, and details or nothing.

        Args:
            end: how the process ended.
        """
        if self.failure is not None:
            return self.failure
        if self.is_expired:
            return "A worker took too long for a request and is replaced.", ""
        return f"A worker {end}{' and is replaced' if self.ready_at else ' while it loaded the model'}.", ""

    def _tell(self, header: dict[str, Any]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(head(header, 0))


def _answer(facts: list[Any], body: bytes) -> Answer:
    status, content_type, _, headers = facts
    return Answer(status, content_type, body, headers=tuple(map(tuple, headers)))
