"""The front's end of one worker: its process, its socket, and the requests that it works on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from opt_ml.serving.answers import Answer
from opt_ml.serving.frames import FrameBuffer, cut, head
from opt_ml.serving.processes import kill_worker, start_worker

_COPY_LIMIT = 1 << 16


RequestFacts = tuple[str | None, str | None, int, dict[str, str] | None]


class Job:
    """One request on its way to a worker.

    Attributes:
        headers: of the request, names in lower case.
        deliver: called once with the answer, unless the client has gone.
        since: event loop time at which it began to wait, then at which its worker began.
        is_wanted: False once the client has gone or has its answer.
        is_alone: it is not joined with others, because a worker died of it or of one beside it.
    """

    __slots__ = ("body", "deliver", "headers", "is_alone", "is_wanted", "since")

    def __init__(self, body: bytes, headers: dict[bytes, bytes], deliver: Callable[[Answer], None]) -> None:
        self.body = body
        self.headers = headers
        self.deliver = deliver
        self.since = 0.0
        self.is_wanted = True
        self.is_alone = False

    def describe(self, wants_headers: bool) -> RequestFacts:
        """The request without its body, as `frames` says."""
        content_type, accept = self.headers.get(b"content-type"), self.headers.get(b"accept")
        return (
            None if content_type is None else content_type.decode("latin-1"),
            None if accept is None else accept.decode("latin-1"),
            len(self.body),
            {name.decode("latin-1"): value.decode("latin-1") for name, value in self.headers.items()}
            if wants_headers
            else None,
        )

    def finish(self, answer: Answer) -> None:
        """Deliver the first answer; later ones, and answers to nobody, are dropped."""
        if self.is_wanted:
            self.is_wanted = False
            self.deliver(answer)


class Owner(Protocol):
    """Who hears from a worker."""

    def on_ready(self, link: WorkerLink) -> None:
        """The model is loaded."""

    def on_failed(self, link: WorkerLink, cause: str, details: str) -> None:
        """The model could not be loaded; the process ends next."""

    def on_answers(self, link: WorkerLink, answers: list[Answer]) -> None:
        """The answers to `link.jobs`, in their order."""

    def on_lost(self, link: WorkerLink) -> None:
        """The socket is closed: nothing more will come."""


class WorkerLink(asyncio.Protocol):
    """One worker process.

    Attributes:
        jobs: what it works on; empty while it is idle.
        joins: its handler predicts several requests at once.
        wants_headers: its handler takes a context.
        ready_at: event loop time at which the model was loaded, or None.
        failure: why it could not load the model, as (cause, traceback or empty), or None.
        is_expired: it was ended because its request took too long.
        is_lost: its socket is closed.
    """

    def __init__(self, owner: Owner, model_dir: Path, workers: int) -> None:
        self._owner = owner
        self._buffer = FrameBuffer()
        self._transport: asyncio.Transport | None = None
        self.process, self._socket = start_worker("opt_ml.serving.worker", [str(model_dir)], workers)
        self.jobs: Sequence[Job] = ()
        self.joins = False
        self.wants_headers = False
        self.ready_at: float | None = None
        self.failure: tuple[str, str] | None = None
        self.is_expired = False
        self.is_lost = False

    @property
    def is_alive(self) -> bool:
        """True while it has its model and can serve."""
        return self.ready_at is not None and not self.is_expired and not self.is_lost

    async def connect(self) -> None:
        """Begin to listen to the worker."""
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=self._socket)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The event loop watches the socket."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Frames from the worker."""
        for header, body in self._buffer.feed(data):
            self._on_frame(header, body)

    def _on_frame(self, header: dict[str, Any], body: bytes) -> None:
        match header["event"]:
            case "answers":
                bodies = cut(body, (facts[2] for facts in header["answers"]))
                answers = [
                    Answer(status, content_type, part, headers=tuple(map(tuple, headers)))
                    for (status, content_type, _, headers), part in zip(
                        header["answers"], bodies, strict=True
                    )
                ]
                self._owner.on_answers(self, answers)
            case "ready":
                self.joins = header["joins"]
                self.wants_headers = header["wants_headers"]
                self._owner.on_ready(self)
            case "failed":
                self._owner.on_failed(self, header["cause"], body.decode(errors="replace"))

    def connection_lost(self, error: Exception | None) -> None:
        """The worker has closed its end, or is dead."""
        self.is_lost = True
        self._owner.on_lost(self)

    def run(self, jobs: Sequence[Job], now: float) -> None:
        """Give it requests; it must have none."""
        self.jobs = jobs
        requests = [job.describe(self.wants_headers) for job in jobs]
        length = sum(len(job.body) for job in jobs)
        parts = [head({"requests": requests}, length), *(job.body for job in jobs)]
        transport = self._transport
        if transport is None:
            raise RuntimeError("the worker is not connected")
        if length > _COPY_LIMIT:
            transport.writelines(parts)
        else:
            transport.write(b"".join(parts))
        for job in jobs:
            job.since = now
        if len(jobs) == 1:
            jobs[0].body = b""  # the worker has it now; joined ones are small, and may have to go again

    def close(self) -> None:
        """Let it end after what it does now."""
        if self._transport is not None:
            self._transport.close()

    def kill(self) -> None:
        """End it now."""
        kill_worker(self.process)
