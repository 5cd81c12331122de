"""What the processes that the front starts have in common, around what each of them does."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Any, Protocol

from opt_ml.errors import UserError
from opt_ml.resources import first_to_go
from opt_ml.serving.invocation import Model
from opt_ml.serving.outcomes import describe
from opt_ml.serving.workers import frames
from opt_ml.serving.workers.worker_socket import die_with, take_socket

_CHUNK = 1 << 18


class Taker(Protocol):
    """What does as frames say."""

    def take(self, header: dict[str, Any], body: bytes) -> None:
        """Do what one frame says, without waiting."""


def run_for(front: int, serve: Callable[[socket.socket], int]) -> int:
    """Serve the front. Returns the exit code.

    Args:
        front: its process id; this process dies with it.
        serve: given our end of the socket pair, until the front closes its own; returns the exit code.
    """
    die_with(front)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with take_socket() as connection:
        try:
            return serve(connection)
        except (BrokenPipeError, ConnectionResetError):  # the front has closed its end: nobody is waiting
            return 0


def load(connection: socket.socket, make: Callable[[], Model | None]) -> Model | None:
    """A loaded model. Where that fails, the front is told why, and it is None.

    Args:
        connection: to the front.
        make: the model before it is loaded; None for none.
    """
    try:
        # A model that is too large must not cost those that are served already theirs (MME-07).
        with first_to_go():
            model = make()
            if model is not None:
                model.run(model.load())
    except UserError as error:
        frames.send(connection, {"event": "failed", "cause": str(error)})
        return None
    except BaseException as error:  # a model_fn may also say sys.exit
        details = traceback.format_exc().encode()
        frames.send(connection, {"event": "failed", "cause": describe(error)}, details)
        return None
    gc.freeze()  # the model stays for good: collections need not walk it
    return model


async def take_frames(connection: socket.socket, start: Callable[[asyncio.StreamWriter], Taker]) -> None:
    """Let a taker have every frame, in an event loop, until the front closes its end.

    Args:
        connection: to the front.
        start: makes the taker, which writes its own frames to the front.

    Raises:
        OSError: the front is gone.
    """
    connection.setblocking(False)
    reader, writer = await asyncio.open_unix_connection(sock=connection)
    taker = start(writer)
    buffer = frames.FrameBuffer()
    while data := await reader.read(_CHUNK):
        for header, body in buffer.feed(data):
            taker.take(header, body)
