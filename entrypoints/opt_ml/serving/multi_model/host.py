"""A shared process of a multi-model endpoint: many models of the image's own handler, loaded and unloaded.

Started by the front with one end of a socket pair as file descriptor `SOCKET`. Speaks frames (see `frames`)
with these headers:

| from | header | body |
|---|---|---|
| host | `{"event": "ready"}` | |
| front | `{"load": key, "directory": ...}` | |
| host | `{"event": "loaded", "key": ..., "joins": bool, "wants_headers": bool}` | |
| host | `{"event": "failed", "key": ..., "cause": ..., "is_users": bool}` | a traceback, or empty |
| front | `{"unload": key}` | |
| host | `{"event": "unloaded", "key": ...}` | |
| front | `{"groups": [[key, [[Content-Type, Accept, length, headers], ...]], ...]}` | the requests |
| host | `{"event": "answers", "groups": [[seconds, [answer, ...]], ...]}` | the answers |

An answer is `[status, Content-Type, length, headers]`.

Requests are answered in the main thread; a second one loads and unloads, so that a model that takes long
holds up nobody.
"""

from __future__ import annotations

import ctypes
import gc
import queue
import socket
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

from opt_ml.errors import UserError, is_out_of_memory
from opt_ml.serving import frames
from opt_ml.serving.answers import Answer, error_answer
from opt_ml.serving.jobs import RequestFacts
from opt_ml.serving.multi_model.hosted import HostedModel
from opt_ml.serving.worker_socket import SOCKET, die_with

_OOM_SCORE = 500  # of 1000: the kernel ends a host before the front, which can start it again


def main(front: int) -> int:
    """Serve until the front closes the socket. Returns the exit code.

    Args:
        front: process id of the front.
    """
    die_with(front)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE), encoding="ascii")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with socket.socket(fileno=SOCKET) as connection:
        connection.set_inheritable(False)
        try:
            return Host(connection).run()
        except (BrokenPipeError, ConnectionResetError):  # the front has closed its end: nobody is waiting
            return 0


class Host:
    """The models of this process.

    Args:
        connection: to the front.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._models: dict[int, HostedModel] = {}
        self._orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def run(self) -> int:
        """Do what the front says. Returns the exit code."""
        threading.Thread(target=self._follow_orders, name="loader", daemon=True).start()
        self._send({"event": "ready"})
        reader = frames.FrameReader(self._connection)
        while (frame := reader.next()) is not None:
            header, body = frame
            if "groups" in header:
                self._answer(header["groups"], body)
            else:
                self._orders.put(header)
        return 0

    def _answer(self, groups: list[tuple[int, list[RequestFacts]]], body: bytes) -> None:
        described = [facts for _, requests in groups for facts in requests]
        bodies = iter(frames.cut(body, (facts[2] for facts in described)))
        done = []
        parts = []
        for key, requests in groups:
            began = perf_counter()
            answers = _answers(self._models[key], [(next(bodies), facts) for facts in requests])
            facts = [(one.status, one.content_type, len(one.body), one.headers) for one in answers]
            done.append((perf_counter() - began, facts))
            parts += [one.body for one in answers]
        self._send({"event": "answers", "groups": done}, b"".join(parts))

    def _follow_orders(self) -> None:
        """In the second thread: load and unload, one after the other."""
        while True:
            order = self._orders.get()
            if "load" in order:
                self._load(order["load"], order["directory"])
            else:
                self._unload(order["unload"])

    def _load(self, key: int, directory: str) -> None:
        failed: dict[str, Any] = {"event": "failed", "key": key, "is_users": False}
        try:
            model = HostedModel(Path(directory))
        except UserError as error:
            self._send({**failed, "cause": str(error), "is_users": True})
        except BaseException as error:  # SystemExit, too, must not end this thread
            cause = f"{type(error).__name__}: {error}"
            self._send({**failed, "cause": cause}, traceback.format_exc().encode())
        else:
            self._models[key] = model
            told = {"joins": model.joins, "wants_headers": model.wants_headers}
            self._send({"event": "loaded", "key": key, **told})
            return
        _give_back()

    def _unload(self, key: int) -> None:
        if (model := self._models.pop(key, None)) is not None:
            model.close()
            del model
        _give_back()
        self._send({"event": "unloaded", "key": key})

    def _send(self, header: dict[str, Any], body: bytes = b"") -> None:
        with self._sending:
            frames.send(self._connection, header, body)


def _answers(model: HostedModel, requests: list[tuple[bytes, RequestFacts]]) -> list[Answer]:
    try:
        return model.answer(requests)
    except Exception as error:  # of a model that is loaded only now, or of a quick path
        sys.stderr.write(traceback.format_exc())
        sys.stderr.flush()
        cause = f"{type(error).__name__}: {error}"
        return [error_answer(507 if is_out_of_memory(cause) else 500, cause)] * len(requests)


def _give_back() -> None:
    """Return freed memory to the system: the C library keeps it otherwise, and the next model gets a 507."""
    gc.collect()
    with suppress(OSError, AttributeError):  # a C library other than glibc has no such function
        ctypes.CDLL(None).malloc_trim(0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
