"""A worker whose handler is asynchronous: while one call awaits, others go on, in one event loop."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import Any

from opt_ml.serving.invocation import Model, Request
from opt_ml.serving.outcomes import caught_text, describe
from opt_ml.serving.streams import Stream
from opt_ml.serving.workers import frames
from opt_ml.serving.workers.worker_calls import answers_frame, end_header, requests_of, start_frame
from opt_ml.serving.workers.worker_main import take_frames


async def serve_at_once(model: Model, connection: socket.socket) -> None:
    """Answer calls until the front closes its end.

    Raises:
        OSError: the front is gone.
    """
    await take_frames(connection, partial(_Worker, model))


class _Call:
    """One call that goes on."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.may_send = asyncio.Event()
        self.may_send.set()
        self.task: asyncio.Task[None] | None = None


class _Worker:
    def __init__(self, model: Model, writer: asyncio.StreamWriter) -> None:
        self._model = model
        self._writer = writer
        self._calls: dict[int, _Call] = {}

    def take(self, header: dict[str, Any], body: bytes) -> None:
        """Do what a frame says, or begin to."""
        match header:
            case {"call": number}:
                call = self._calls[number] = _Call(number)
                [request] = requests_of(header, body)
                call.task = asyncio.create_task(self._answer(call, request))
                call.task.add_done_callback(partial(self._on_done, call))
            case {"hold": number} if number in self._calls:
                self._calls[number].may_send.clear()
            case {"go": number} if number in self._calls:
                self._calls[number].may_send.set()
            case {"cancel": number} if number in self._calls:
                task = self._calls[number].task
                if task is not None:
                    task.cancel()

    async def _answer(self, call: _Call, request: Request) -> None:
        answer = await self._model.answer(request)
        if isinstance(answer, Stream):
            await self._stream(call, answer)
        else:
            await self._send(*answers_frame(call.number, [answer]))

    def _on_done(self, call: _Call, task: asyncio.Task[None]) -> None:
        """Say that a cancelled call has ended. Not in `_answer`: one cancelled at once never begins."""
        del self._calls[call.number]
        error = None if task.cancelled() else task.exception()
        if task.cancelled() or not isinstance(error, ConnectionError | None):
            cause = None if error is None else describe(error)
            self._writer.write(frames.head(end_header(call.number, cause), 0))

    async def _stream(self, call: _Call, stream: Stream) -> None:
        cause = None
        try:
            await self._send(*start_frame(call.number, stream.head))
            part: bytes | None = b""
            while part is not None:
                await call.may_send.wait()
                part, cause = await caught_text(stream.next())
                if part:
                    await self._send({"event": "part", "call": call.number}, part)
                await asyncio.sleep(0)  # what never awaits leaves room for others, and for `hold`
        finally:
            _, failed = await caught_text(stream.close())
        await self._send(end_header(call.number, cause or failed))

    async def _send(self, header: dict[str, Any], body: bytes = b"") -> None:
        self._writer.write(frames.head(header, len(body)) + body)
        await self._writer.drain()
