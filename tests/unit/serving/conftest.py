"""A real server on a free port, with a real handler file in a temporary SAGEMAKER_BASE_DIR."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

PATIENCE = 60.0  # seconds until something that must happen counts as missing; no test waits this long
ENTRYPOINTS = Path(__file__).resolve().parents[3] / "entrypoints"


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def eventually(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of `condition`."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f"never happened: {what}")


class Server:
    """`serve` as a process of its own."""

    def __init__(
        self, base: Path, port: int, process: subprocess.Popen[bytes], log: Path, reservation: socket.socket
    ) -> None:
        self.base, self.port, self.process, self._log = base, port, process, log
        self.reservation = reservation

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def post(self, body: Any = b"", content_type: str = "text/csv", **headers: str) -> Reply:
        return self.request("POST", "/invocations", body, {"Content-Type": content_type, **headers})

    def ping(self) -> int | None:
        """The status of /ping, or None where nothing listens."""
        try:
            return self.request("GET", "/ping").status
        except OSError:
            return None

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def wait_until_ready(self) -> Server:
        def answers() -> bool:
            assert self.process.poll() is None, self.log
            return self.ping() == 200

        eventually(answers, "/ping answers 200")
        return self

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def workers(self) -> set[int]:
        """Process ids of the workers that live."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return {int(word) for word in children.read_text().split() if is_alive(int(word))}

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def reserved_port() -> socket.socket:
    """A socket that keeps a free port from everybody but a server, which may listen there beside it.

    Without it, half the machine's clients could get the port between the search and the start.
    """
    reservation = socket.socket()
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reservation.bind(("", 0))
    return reservation


Start = Callable[..., Server]


def starter(base: Path, started: list[Server]) -> Start:
    def start(
        handler: str | None, command: Sequence[str] = (), settings: str = "", **variables: Any
    ) -> Server:
        """Start a server.

        Args:
            handler: its inference.py.
            command: what runs it, such as `prlimit`, with arguments.
            settings: extra arguments of Settings, which have no variable.
            variables: of its environment.
        """
        code = base / "model" / "code"
        if handler is not None:
            code.mkdir(parents=True, exist_ok=True)
            (code / "inference.py").write_text(handler, encoding="utf-8")
        reservation = reserved_port()
        port = int(variables.pop("port", None) or reservation.getsockname()[1])
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("SAGEMAKER_", "OMP_"))
        }
        environment |= {
            "PYTHONPATH": str(ENTRYPOINTS),
            "SAGEMAKER_BASE_DIR": str(base),
            "SAGEMAKER_BIND_TO_PORT": str(port),
            "BASE": str(base),
            **{name: str(value) for name, value in variables.items()},
        }
        code_line = (
            "import dataclasses, sys; from opt_ml.serving.main import run; "
            "from opt_ml.serving.settings import read_settings; "
            f"sys.exit(run(dataclasses.replace(read_settings(), {settings})))"
        )
        arguments = ["-c", code_line] if settings else ["-m", "opt_ml.serving.main"]
        log = base / f"log-{len(started)}.txt"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, sys.executable, "-B", *arguments],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=base,
            )
        server = Server(base, port, process, log, reservation)
        started.append(server)
        return server

    return start


def end_all(started: list[Server]) -> None:
    for server in started:
        server.reservation.close()
        workers = server.workers if server.process.poll() is None else set()
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
        for worker in workers:
            eventually(lambda worker=worker: not is_alive(worker), "workers die with their front")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A function that starts a server with the handler's source text and environment variables."""
    started: list[Server] = []
    yield starter(tmp_path, started)
    end_all(started)


ECHO = """
import json, os, pathlib, time
from opt_ml.errors import RequestError

def model_fn(model_dir):
    return {"dir": model_dir}

def input_fn(body, content_type):
    if body == "bad":
        raise ValueError("no such thing as bad")
    if body == "refused":
        raise RequestError(422, "row 1: refused", row=1)
    return {"body": body if isinstance(body, str) else len(body), "type": content_type}

def predict_fn(data, model):
    if data["body"] == "bug":
        return 1 / 0
    if data["body"] == "slow":
        time.sleep(0.3)
    if str(data["body"]).startswith("big"):
        return "x" * int(data["body"][3:])
    return {**data, "model": model["dir"], "pid": os.getpid()}

def output_fn(prediction, accept):
    if isinstance(prediction, str):
        return prediction, "text/plain"
    return json.dumps({**prediction, "accept": accept})
"""


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests of a module that leave it as it was."""
    started: list[Server] = []
    start = starter(tmp_path_factory.mktemp("echo"), started)
    yield start(ECHO, SAGEMAKER_MODEL_SERVER_WORKERS=2, SAGEMAKER_MAX_PAYLOAD_IN_MB=1).wait_until_ready()
    end_all(started)
