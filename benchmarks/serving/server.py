"""One server under measurement: its processes, their memory, and when it first answered."""

from __future__ import annotations

import http.client
import math
import os
import random
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

_MARK = "BENCHMARK_SERVER"  # in the environment of every process that a server starts
_PATIENCE = 120.0  # seconds to the first answer
_POLL = 0.005  # seconds between two questions to a server that starts
_STOP = 20.0  # seconds from SIGTERM to SIGKILL


@dataclass(frozen=True)
class Launch:
    """How a server is started and spoken to.

    Attributes:
        command: its words.
        variables: added to the environment; None takes one away.
        ping: path that says 200 when the server thinks itself healthy.
        invocations: path that predicts.
        content_type, accept: of the requests.
    """

    command: list[str]
    variables: Mapping[str, str | None] = field(default_factory=dict)
    ping: str = "/ping"
    invocations: str = "/invocations"
    content_type: str = "text/csv"
    accept: str = "text/csv"


class Server:
    """A started server; a context manager that leaves no process behind.

    Args:
        launch: how.
        port: on loopback.
        directory: the working directory, for what the server writes; its output goes to `server.log` there.

    Attributes:
        healthy: seconds from the start to the first 200 of `ping`.
        answered: seconds from the start to the first 200 of `invocations`.
    """

    def __init__(self, launch: Launch, port: int, directory: Path) -> None:
        self.launch = launch
        self.port = port
        self.healthy = self.answered = math.nan
        self._mark = uuid.uuid4().hex
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, body: bytes) -> bytes:
        """Start it and wait for its first answer to `body`, which is returned.

        Raises:
            RuntimeError: it ended, or did not answer in time; with the end of its log.
        """
        environment = {**os.environ, **self.launch.variables, _MARK: self._mark}
        log = self._directory / "server.log"
        began = time.monotonic()
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                self.launch.command,
                cwd=self._directory,
                env={name: value for name, value in environment.items() if value is not None},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        while (elapsed := time.monotonic() - began) < _PATIENCE and self._process.poll() is None:
            if math.isnan(self.healthy) and self._try("GET", self.launch.ping) is not None:
                self.healthy = time.monotonic() - began
            answer = self._try("POST", self.launch.invocations, body)
            if answer is not None and not math.isnan(self.healthy):
                self.answered = time.monotonic() - began
                return answer
            time.sleep(_POLL)
        tail = log.read_text(errors="replace")[-3000:]
        raise RuntimeError(f"no answer after {elapsed:.0f} s: {self.launch.command}\n{tail}")

    def ask(self, body: bytes) -> tuple[int, bytes]:
        """Status and body of one prediction, on a connection of its own.

        Raises:
            OSError, http.client.HTTPException: no whole answer came.
        """
        return self._request("POST", self.launch.invocations, body)

    def processes(self) -> list[int]:
        """Ids of all its processes."""
        needle = f"{_MARK}={self._mark}".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if needle in path.read_bytes():
                    found.append(int(path.parent.name))
        return found

    def find_processes(self, word: bytes) -> list[int]:
        """Ids of those of its processes whose command line holds `word`."""
        found = []
        for process in self.processes():
            with suppress(OSError):
                if word in Path(f"/proc/{process}/cmdline").read_bytes():
                    found.append(process)
        return found

    def cpu_seconds(self) -> float:
        """CPU time that its living processes have used, in user and kernel mode."""
        ticks = 0
        for process in self.processes():
            with suppress(OSError):
                fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])  # utime and stime, proc(5)
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Their proportional set size (PSS) in MB: pages that several share count once."""
        total = 0
        for process in self.processes():
            with suppress(OSError):
                rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
                total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        return total / 1000

    def __enter__(self) -> Self:
        """Nothing runs yet; see `start`."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """SIGTERM to the first process; SIGKILL to whatever is left (TorchServe leaves its JVM)."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP)
        time.sleep(0.2)
        for process in self.processes():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._process.wait()

    def _try(self, method: str, path: str, body: bytes | None = None) -> bytes | None:
        """The body of a 200, or None."""
        with suppress(OSError, http.client.HTTPException):
            status, content = self._request(method, path, body)
            return content if status == 200 else None
        return None

    def _request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Content-Type": self.launch.content_type, "Accept": self.launch.accept} if body else {}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def free_port() -> int:
    """A TCP port that nobody listens on just now; multi-model-server takes none above 32766."""
    for port in random.sample(range(20000, 32767), 100):
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free TCP port found below 32767")
