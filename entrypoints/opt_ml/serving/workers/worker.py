"""A worker process: loads the handler and the model once, then answers calls.

Started by the front process with one end of a socket pair as file descriptor `SOCKET`; speaks `frames`.
It ends when the front closes the socket, and dies with the front whatever it is doing then.
"""

from __future__ import annotations

import socket
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

from opt_ml.serving.handler import load_handler
from opt_ml.serving.invocation import Model
from opt_ml.serving.workers import frames
from opt_ml.serving.workers.worker_async import serve_at_once
from opt_ml.serving.workers.worker_main import load, run_for
from opt_ml.serving.workers.worker_sync import serve_one_by_one


def main(model_dir: str, front: int) -> int:
    """Load, say so, serve. Returns the exit code.

    Args:
        model_dir: what `model_fn` gets.
        front: process id of the front.
    """
    return run_for(front, partial(_serve, model_dir))


def _serve(model_dir: str, connection: socket.socket) -> int:
    model = load(connection, lambda: Model(load_handler(Path(model_dir)), model_dir))
    if model is None:
        return 1
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
