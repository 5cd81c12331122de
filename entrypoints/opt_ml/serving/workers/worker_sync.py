"""A worker whose handler blocks: one call at a time.

A call is one request, or those that have arrived meanwhile where the handler can predict several at once.
"""

from __future__ import annotations

import socket

from opt_ml.serving.invocation import Model
from opt_ml.serving.outcomes import caught_text, print_traceback
from opt_ml.serving.streams import Stream
from opt_ml.serving.workers import frames
from opt_ml.serving.workers.worker_calls import answers_frame, end_header, requests_of, start_frame


def serve_one_by_one(model: Model, connection: socket.socket) -> None:
    """Answer calls until the front closes its end.

    Raises:
        OSError: the front is gone.
    """
    _Worker(model, connection).run()


class _Worker:
    def __init__(self, model: Model, connection: socket.socket) -> None:
        self._model = model
        self._connection = connection
        self._reader = frames.FrameReader(connection)

    def run(self) -> None:
        while (frame := self._next()) is not None:
            header, body = frame
            if "call" not in header:
                continue  # about a stream that has ended meanwhile
            number = header["call"]
            requests = requests_of(header, body)
            if len(requests) > 1:
                answers = self._model.run(self._model.answer_together(requests))
                frames.send(self._connection, *answers_frame(number, answers))
                continue
            answer = self._model.run(self._model.answer(requests[0]))
            if isinstance(answer, Stream):
                self._stream(number, answer)
            else:
                frames.send(self._connection, *answers_frame(number, [answer]))

    def _next(self) -> frames.Frame | None:
        """The next frame. What a handler's signal handlers raise while nothing is to do harms nobody."""
        while True:
            try:
                return self._reader.next()
            except Exception as error:
                if isinstance(error, frames.FrameError) or getattr(error, "errno", None) is not None:
                    raise
                print_traceback()

    def _stream(self, number: int, stream: Stream) -> None:
        frames.send(self._connection, *start_frame(number, stream.head))
        part: bytes | None = b""
        cause = None
        while part is not None and self._is_wanted(number):
            part, cause = self._model.run(caught_text(stream.next()))
            if part:
                frames.send(self._connection, {"event": "part", "call": number}, part)
        _, failed = self._model.run(caught_text(stream.close()))
        frames.send(self._connection, end_header(number, cause or failed))

    def _is_wanted(self, number: int) -> bool:
        """Hear what the front says of the stream, and wait while it holds it."""
        is_held = False
        while True:
            try:
                frame = self._reader.next(is_patient=is_held)
            except BlockingIOError:
                return True
            if frame is None:
                raise ConnectionResetError("the front has closed its end")
            header, _ = frame
            if header.get("cancel") == number:
                return False
            is_held = header.get("hold") == number or (is_held and header.get("go") != number)
