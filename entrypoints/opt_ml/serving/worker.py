"""A worker process: loads the handler and the model once, then answers requests.

One at a time, or those that have arrived meanwhile where the handler can predict several at once.

Started by the front process with one end of a socket pair as file descriptor `SOCKET`; speaks `frames`.
It ends when the front closes the socket, and dies with the front whatever it is doing then.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import socket
import sys
import traceback
from pathlib import Path

from opt_ml.errors import UserError
from opt_ml.serving import frames
from opt_ml.serving.handler import load_handler
from opt_ml.serving.invocation import Model, Request
from opt_ml.serving.worker_socket import SOCKET

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(model_dir: str, front: int) -> int:
    """Load, say so, serve. Returns the exit code.

    Args:
        model_dir: what `model_fn` gets.
        front: process id of the front.
    """
    _die_with(front)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with socket.socket(fileno=SOCKET) as connection:
        connection.set_inheritable(False)  # a program that the handler starts must not hold it open
        try:
            return _serve(model_dir, connection)
        except (BrokenPipeError, ConnectionResetError):  # the front has closed its end: nobody is waiting
            return 0


def _serve(model_dir: str, connection: socket.socket) -> int:
    try:
        model = Model(load_handler(Path(model_dir)), model_dir)
    except UserError as error:
        frames.send(connection, {"event": "failed", "cause": str(error)})
        return 1
    except Exception as error:
        cause = f"{type(error).__name__}: {error}"
        frames.send(connection, {"event": "failed", "cause": cause}, traceback.format_exc().encode())
        return 1
    gc.freeze()  # the model stays for good: collections need not walk it
    ready = {"event": "ready", "joins": model.joins, "wants_headers": model.wants_headers}
    frames.send(connection, ready)
    for header, body in frames.receive(connection):
        described = header["requests"]
        bodies = frames.cut(body, (facts[2] for facts in described))
        requests = [
            Request(part, content_type, accept, headers)
            for (content_type, accept, _, headers), part in zip(described, bodies, strict=True)
        ]
        answers = model.answer(requests)
        facts = [(answer.status, answer.content_type, len(answer.body), answer.headers) for answer in answers]
        joined = b"".join(answer.body for answer in answers)
        frames.send(connection, {"event": "answers", "answers": facts}, joined)
    return 0


def _die_with(front: int) -> None:
    # The end of the socket is only seen between requests; a worker in a long prediction needs the signal.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != front:  # it died before the line above
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
