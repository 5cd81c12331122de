"""Our `serve` at full load for half an hour: does its memory grow, and is every answer right?

Usage: .venv/bin/python -m benchmarks.soak [--minutes 30] [--kill-every SECONDS] [--uncompiled]

wrk asks for single rows as fast as they are answered; beside it, connections of our own send requests of 1,
100 and 1000 rows and wrong ones, and compare every answer with the libraries' own. Memory is the PSS of all
processes of the server, read every 10 s. Exit code 1 where it grew by more than 2 % since the end of the
warm-up, or where one request ended otherwise than expected. With --kill-every, workers are killed meanwhile:
then what was in them may end with 503, and memory is not judged.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks.serving import environments, model
from benchmarks.serving.load import run_load, write_bodies
from benchmarks.serving.peers import APPS, PEERS, Place
from benchmarks.serving.server import Server, free_port

_SAMPLE = 10.0  # seconds between two readings of the memory
_CHECKERS = 8  # connections whose answers are compared
_BULK = 32  # connections of wrk
_BULK_SECONDS = 20.0  # of one run of wrk
_TOLERANCE = 2e-4  # relative; see benchmarks.serving.measure
_MOST_GROWTH = 0.02
_LIBRARIES_OWN = """
import json, sys, ensemble as e
models = e.load(sys.argv[1])
print(json.dumps([e.predict(e.parse(body), models).tolist() for body in json.load(sys.stdin)]))
"""


@dataclass(frozen=True)
class Question:
    """One kind of request.

    Attributes:
        weight: how often it is sent.
        body: as CSV.
        status: the expected one.
        expected: the predictions, where the status is 200.
        content_type: of the body.
    """

    weight: float
    body: bytes
    status: int = 200
    expected: Sequence[float] = ()
    content_type: str = "text/csv"


def make_questions(environment: environments.Environment, trained: Path) -> list[Question]:
    """Requests of all sizes with the libraries' own predictions, and wrong ones."""
    rows = model.data_rows()
    sizes = [(60.0, 1), (5.0, 100), (1.0, 1000)]
    bodies = [
        ("\n".join(rows[start : start + size]) + "\n", weight)
        for weight, size in sizes
        for start in range(20)
    ]
    answer = subprocess.run(
        [str(environment.python), "-c", _LIBRARIES_OWN, str(trained)],
        input=json.dumps([body for body, _ in bodies]),
        env={"PYTHONPATH": str(APPS), "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    questions = [
        Question(weight, body.encode(), 200, expected)
        for (body, weight), expected in zip(bodies, json.loads(answer.stdout), strict=True)
    ]
    return [
        *questions,
        Question(20.0, b"1,2,three,4,5,6,7,8,9,10\n", 400),
        Question(20.0, b"1,2,3\n", 400),
        Question(20.0, rows[0].encode(), 415, content_type="application/x-nothing"),
    ]


class Checker:
    """Connections that send questions and judge the answers.

    Attributes:
        outcomes: what happened, how often; `right` is the expected answer.
    """

    def __init__(self, port: int, questions: Sequence[Question]) -> None:
        self.outcomes: Counter[str] = Counter()
        self._port = port
        self._questions = questions
        self._weights = [question.weight for question in questions]

    async def run(self, until: float) -> None:
        """Ask on all connections until the clock says `until`."""
        await asyncio.gather(*(self._converse(number, until) for number in range(_CHECKERS)))

    async def _converse(self, seed: int, until: float) -> None:
        source = random.Random(seed)
        while time.monotonic() < until:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                connection = _Connection(reader, writer)
                while time.monotonic() < until:
                    (question,) = source.choices(self._questions, self._weights)
                    status, body = await connection.ask(question)
                    self.outcomes[_judge(question, status, body)] += 1
                writer.close()
            except (OSError, asyncio.IncompleteReadError) as error:
                self.outcomes[f"connection lost: {type(error).__name__}"] += 1
                await asyncio.sleep(0.05)


class _Connection:
    """One keep-alive connection, and as much of HTTP as our server's answers need."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, question: Question) -> tuple[int, bytes]:
        """Status and body of the answer.

        Raises:
            OSError, asyncio.IncompleteReadError: the connection ended.
        """
        head = (
            f"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: {question.content_type}\r\n"
            f"Accept: text/csv\r\nContent-Length: {len(question.body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + question.body)
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        body = await self._reader.readexactly(int(fields["content-length"]))
        return int(lines[0].split()[1]), body


def _judge(question: Question, status: int, body: bytes) -> str:
    if status != question.status:
        return f"{status} instead of {question.status}"
    if status != 200:
        return "right"
    found = model.predictions(body, is_protocol=False)
    is_equal = len(found) == len(question.expected) and all(
        math.isclose(one, other, rel_tol=_TOLERANCE)
        for one, other in zip(found, question.expected, strict=True)
    )
    return "right" if is_equal else f"wrong answer to {len(question.expected)} rows"


class Soak:
    """One run: the load, the readings, and the verdict."""

    def __init__(
        self, server: Server, questions: Sequence[Question], bodies: Path, kill_every: float
    ) -> None:
        self._server = server
        self._checker = Checker(server.port, questions)
        self._bodies = bodies
        self._kill_every = kill_every
        self._readings: list[tuple[float, float]] = []  # seconds since the start, PSS in MB
        self._bulk: Counter[str] = Counter()
        self._killed = 0

    async def run(self, seconds: float) -> None:
        """Load the server for so long."""
        began = time.monotonic()
        until = began + seconds
        tasks = [self._checker.run(until), self._load(until), self._read(began, until)]
        if self._kill_every:
            tasks.append(self._kill(until))
        await asyncio.gather(*tasks)

    def report(self, warm_up: float) -> bool:
        """Print what came out. Returns True where all was well."""
        growth = _growth(self._readings, warm_up)
        for second, megabytes in self._readings[:: max(1, len(self._readings) // 12)]:
            print(f"{second:6.0f} s {megabytes:7.1f} MB")
        print(f"single rows by wrk: {dict(self._bulk)}; compared: {dict(self._checker.outcomes)}")
        print(f"memory grew by {growth:.2%} since {warm_up:.0f} s; workers killed: {self._killed}")
        if self._kill_every:
            allowed = {"right", *(f"503 instead of {status}" for status in (200, 400, 415))}
            return set(self._checker.outcomes) <= allowed and self._bulk["socket"] == 0
        is_clean = set(self._checker.outcomes) == {"right"} and set(self._bulk) == {"answered"}
        return is_clean and growth <= _MOST_GROWTH

    async def _load(self, until: float) -> None:
        while (left := until - time.monotonic()) > 1:
            seconds = min(left, _BULK_SECONDS)
            load = await asyncio.to_thread(run_load, self._server, self._bodies, _BULK, seconds)
            self._bulk["answered"] += load.requests - load.status
            failures = {"status": load.status, "socket": load.socket, "timeout": load.timeout}
            self._bulk.update({name: count for name, count in failures.items() if count})

    async def _read(self, began: float, until: float) -> None:
        while time.monotonic() < until:
            self._readings.append((time.monotonic() - began, await asyncio.to_thread(self._server.memory)))
            await asyncio.sleep(_SAMPLE)

    async def _kill(self, until: float) -> None:
        """SIGKILL to the longest-lived worker, again and again."""
        while time.monotonic() + self._kill_every < until:
            await asyncio.sleep(self._kill_every)
            workers = sorted(self._server.find_processes(b"opt_ml.serving.workers.worker"))
            if workers:
                with suppress(ProcessLookupError):
                    os.kill(workers[0], signal.SIGKILL)
                    self._killed += 1


def _growth(readings: Sequence[tuple[float, float]], warm_up: float) -> float:
    """Between the first and the last tenth of the readings after the warm-up, by their medians."""
    kept = [megabytes for second, megabytes in readings if second >= warm_up]
    if len(kept) < 4:
        return math.nan
    share = max(2, len(kept) // 10)
    return statistics.median(kept[-share:]) / statistics.median(kept[:share]) - 1


def main() -> int:
    """Soak, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--kill-every", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--uncompiled", action="store_true", help="OPT_ML_COMPILED=off")
    arguments = parser.parse_args()
    seconds = arguments.minutes * 60
    peer = PEERS["native-uncompiled" if arguments.uncompiled else "native"]
    environment = environments.ensure(peer.environment)
    trained = model.trained_model(environment)
    questions = make_questions(environment, trained)
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch:
        place = Place(environment, trained, free_port(), Path(scratch) / "run")
        place.directory.mkdir()
        bodies = Path(scratch) / "bodies"
        write_bodies(bodies, model.single_bodies())
        with Server(peer.launch(place), place.port, place.directory) as server:
            server.start(questions[0].body)
            print(f"{peer.title}, {arguments.minutes:g} minutes at full load ...", flush=True)
            soak = Soak(server, questions, bodies, arguments.kill_every)
            uvloop.run(soak.run(seconds))
            return 0 if soak.report(warm_up=max(30.0, seconds / 10)) else 1


if __name__ == "__main__":
    sys.exit(main())
