"""A worker process: loads the handler and the model once, then answers calls.

Started by the front process with one end of a socket pair as file descriptor `SOCKET`; speaks `frames`.
It ends when the front closes the socket, and dies with the front whatever it is doing then.
"""

from __future__ import annotations

import gc
import socket
import sys
import traceback
from contextlib import closing
from pathlib import Path

from opt_ml.errors import UserError
from opt_ml.serving import frames
from opt_ml.serving.handler import load_handler
from opt_ml.serving.invocation import Model
from opt_ml.serving.outcomes import describe
from opt_ml.serving.worker_async import serve_at_once
from opt_ml.serving.worker_socket import die_with, take_socket
from opt_ml.serving.worker_sync import serve_one_by_one


def main(model_dir: str, front: int) -> int:
    """Load, say so, serve. Returns the exit code.

    Args:
        model_dir: what `model_fn` gets.
        front: process id of the front.
    """
    die_with(front)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with take_socket() as connection:
        try:
            return _serve(model_dir, connection)
        except (BrokenPipeError, ConnectionResetError):  # the front has closed its end: nobody is waiting
            return 0


def _serve(model_dir: str, connection: socket.socket) -> int:
    try:
        model = Model(load_handler(Path(model_dir)), model_dir)
        model.run(model.load())
    except UserError as error:
        frames.send(connection, {"event": "failed", "cause": str(error)})
        return 1
    except BaseException as error:  # a model_fn may also say sys.exit
        details = traceback.format_exc().encode()
        frames.send(connection, {"event": "failed", "cause": describe(error)}, details)
        return 1
    gc.freeze()  # the model stays for good: collections need not walk it
    ready = {
        "event": "ready",
        "joins": model.joins,
        "wants_headers": model.wants_headers,
        "is_async": model.is_async,
    }
    frames.send(connection, ready)
    with closing(model):
        if model.is_async:
            model.run(serve_at_once(model, connection))
        else:
            serve_one_by_one(model, connection)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
