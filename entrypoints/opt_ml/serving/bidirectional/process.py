"""The process of the streams: loads the handler and the model once, then talks on many streams at once.

Started by the front like a worker, with one end of a socket pair; see `messages`.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Any

from opt_ml.serving.bidirectional.messages import INTERNAL_ERROR
from opt_ml.serving.bidirectional.stream import Stream, StreamClosed
from opt_ml.serving.handler import load_handler
from opt_ml.serving.invocation import Model
from opt_ml.serving.outcomes import describe, print_traceback
from opt_ml.serving.workers import frames
from opt_ml.serving.workers.worker_main import load, run_for, take_frames

_LONGEST_REASON = 100  # characters; a close frame has room for 123 bytes


def main(model_dir: str, front: int) -> int:
    """Load, say so, serve. Returns the exit code.

    Args:
        model_dir: what `model_fn` gets.
        front: process id of the front.
    """
    return run_for(front, partial(_serve, model_dir))


def _serve(model_dir: str, connection: socket.socket) -> int:
    has_streams = True

    def make() -> Model | None:
        nonlocal has_streams
        handler = load_handler(Path(model_dir))
        has_streams = handler.bidirectional_fn is not None
        return Model(handler, model_dir, has_loop=True) if has_streams else None

    model = load(connection, make)
    if not has_streams:
        frames.send(connection, {"event": "absent"})
        return 0
    if model is None:
        return 1
    frames.send(connection, {"event": "ready"})
    model.run(take_frames(connection, partial(_Talks, model)))
    return 0


class _Talks:
    """The streams that are open."""

    def __init__(self, model: Model, writer: asyncio.StreamWriter) -> None:
        self._model = model
        self._writer = writer
        self._streams: dict[int, Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, header: dict[str, Any], body: bytes) -> None:
        """Do what a frame says; one of a stream that has ended meanwhile is passed over."""
        match header:
            case {"open": number}:
                stream = Stream(number, header["path"], header["headers"], self._tell)
                self._streams[number] = stream
                task = asyncio.create_task(self._talk(number, stream))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case {"part": number} if number in self._streams:
                self._streams[number].take(header["kind"], body, header["is_last"])
            case {"hold": number} if number in self._streams:
                self._streams[number].hold(True)
            case {"go": number} if number in self._streams:
                self._streams[number].hold(False)
            case {"close": number} if number in self._streams:
                self._streams[number].end()

    async def _talk(self, number: int, stream: Stream) -> None:
        try:
            await self._model.talk(stream, stream.headers)
            stream.close()
        except StreamClosed:
            pass
        except BaseException as error:
            print_traceback()
            stream.close(INTERNAL_ERROR, describe(error)[:_LONGEST_REASON])
        finally:
            stream.end()
            del self._streams[number]

    def _tell(self, header: dict[str, Any], body: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(frames.head(header, len(body)) + body)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
