"""Workers die under load, again and again: what was in them fails with 503, and nobody else notices."""

from __future__ import annotations

import http.client
import os
import re
import signal
import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.unit.serving.conftest import PATIENCE, Server, Start, eventually

WORKERS = 3
CLIENTS = 8
KILLS = 4
MOST_KILLS = 30

HANDLER = """
import time
def model_fn(model_dir): return 2
def input_fn(body, content_type): return int(body)
def predict_fn(data, model):
    time.sleep(0.005)
    return data * model
def output_fn(prediction, accept): return str(prediction)
"""
JOINING = """
def predict_batch_fn(data, model):
    time.sleep(0.005)
    return [number * model for number in data]
"""


class Clients:
    """Threads that ask without a pause, each on one connection, and note every outcome."""

    def __init__(self, server: Server) -> None:
        self.outcomes: Counter[str] = Counter()
        self._server = server
        self._stop = threading.Event()
        self._lock = threading.Lock()
        targets = [*(self._predict for _ in range(CLIENTS)), self._ping]
        self._threads = [
            threading.Thread(target=target, args=(number,)) for number, target in enumerate(targets)
        ]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _predict(self, start: int) -> None:
        number = start * 1_000_000
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=PATIENCE)
        while not self._stop.is_set():
            number += 1
            try:
                connection.request("POST", "/invocations", str(number), {"Content-Type": "text/csv"})
                reply = connection.getresponse()
                body = reply.read()
            except (OSError, http.client.HTTPException) as error:
                self._note(f"no answer: {error!r}")
                return
            if reply.status == 200:
                self._note("right" if body == str(number * 2).encode() else f"wrong: {number} {body!r}")
            else:
                self._note(str(reply.status))
        connection.close()

    def _ping(self, _: int) -> None:
        while not self._stop.is_set():
            status = self._server.ping()
            self._note("healthy" if status == 200 else f"ping {status}")

    def _note(self, outcome: str) -> None:
        with self._lock:
            self.outcomes[outcome] += 1


def ready_workers(server: Server) -> int:
    text = server.request("GET", "/metrics").body.decode()
    found = re.search(r"^\S*workers_ready(?:{.*})? ([0-9.]+)$", text, re.MULTILINE)
    assert found, text
    return int(float(found[1]))


def zombies(server: Server) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state == "Z" and int(parent) == server.process.pid:
            found.append(int(path.parent.name))
    return found


@pytest.mark.contract("HOST-43", "HOST-45")
@pytest.mark.parametrize(("handler", "at_most"), [(HANDLER, 1), (HANDLER + JOINING, CLIENTS)])
def test_a_killed_worker_fails_its_own_requests_alone(start: Start, handler: str, at_most: int) -> None:
    server = start(handler, SAGEMAKER_MODEL_SERVER_WORKERS=WORKERS).wait_until_ready()
    eventually(lambda: ready_workers(server) == WORKERS, "all workers have loaded")
    with Clients(server) as clients:
        for kills in range(1, MOST_KILLS + 1):
            before = clients.outcomes["right"]
            eventually(lambda before=before: clients.outcomes["right"] > before + 50, "answers come")
            victim = min(server.workers)
            os.kill(victim, signal.SIGKILL)
            eventually(lambda victim=victim: victim not in server.workers, "the worker has gone")
            eventually(lambda: ready_workers(server) == WORKERS, "there is another one")
            if kills >= KILLS and clients.outcomes["503"]:  # an idle one that dies fails nobody
                break
    outcomes = clients.outcomes
    assert set(outcomes) <= {"right", "503", "healthy"}, outcomes
    assert 0 < outcomes["503"] <= kills * at_most, outcomes
    assert server.ping() == 200
    assert len(server.workers) == WORKERS
    assert zombies(server) == []
    assert server.stop() == 0
