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
| front | `{"call": n, "groups": [[key, [request, ...]], ...]}` | the requests |
| host | `{"event": "answers", "call": n, "groups": [[seconds, [facts, ...]], ...]}` | the answers |
| host | `{"event": "late", "late": [n, place], "answer": facts}` | an answer |

A request is `[Content-Type, Accept, length, headers]`. The facts of an answer are `[status, Content-Type,
length, headers]`, or null where it needs frameworks that are not loaded yet: it comes late. Its place is that
among all requests of the call.

Requests are answered in the main thread; a second one loads, unloads and answers late, so that what takes
long holds up nobody.
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

from opt_ml.errors import UserError
from opt_ml.resources import set_oom_score
from opt_ml.serving.answers import Answer
from opt_ml.serving.invocation import Request
from opt_ml.serving.multi_model.hosted import HostedModel
from opt_ml.serving.workers import frames
from opt_ml.serving.workers.worker_calls import bodies_of
from opt_ml.serving.workers.worker_main import run_for

_OOM_SCORE = 500  # of 1000: the kernel ends a host before the front, which can start it again


def main(front: int) -> int:
    """Serve until the front closes the socket. Returns the exit code.

    Args:
        front: process id of the front.
    """
    set_oom_score(_OOM_SCORE)
    return run_for(front, lambda connection: Host(connection).run())


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
                self._answer(header, body)
            else:
                self._orders.put(header)
        return 0

    def _answer(self, header: dict[str, Any], body: bytes) -> None:
        every = [facts for _, described in header["groups"] for facts in described]
        bodies = iter(bodies_of(every, body))
        done = []
        parts = []
        late = []
        count = 0
        for key, described in header["groups"]:
            requests = [Request(next(bodies), facts[0], facts[1], facts[3]) for facts in described]
            began = perf_counter()
            answers = self._models[key].answer(requests)
            done.append((perf_counter() - began, [facts_of(answer) for answer in answers]))
            parts += [answer.body for answer in answers if answer is not None]
            for request, answer in zip(requests, answers, strict=True):
                if answer is None:
                    late.append({"late": [header["call"], count], "key": key, "request": request})
                count += 1
        self._send({"event": "answers", "call": header["call"], "groups": done}, b"".join(parts))
        for order in late:  # only now: the front must know that an answer comes late before it does
            self._orders.put(order)

    def _follow_orders(self) -> None:
        """In the second thread: what takes long, one after the other."""
        while True:
            match self._orders.get():
                case {"load": key, "directory": directory}:
                    self._load(key, directory)
                case {"unload": key}:
                    self._unload(key)
                case {"late": place, "key": key, "request": request}:
                    [answer] = self._models[key].answer_natively([request])
                    self._send({"event": "late", "late": place, "answer": facts_of(answer)}, answer.body)

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


def facts_of(answer: Answer | None) -> tuple[Any, ...] | None:
    """An answer without its body."""
    return None if answer is None else (answer.status, answer.content_type, len(answer.body), answer.headers)


def _give_back() -> None:
    """Return freed memory to the system: the C library keeps it otherwise, and the next model gets a 507."""
    gc.collect()
    with suppress(OSError, AttributeError):  # a C library other than glibc has no such function
        ctypes.CDLL(None).malloc_trim(0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
