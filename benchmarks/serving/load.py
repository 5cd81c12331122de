"""wrk, with bodies that vary, and its figures."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving.server import Server

_SCRIPT = Path(__file__).parent / "wrk.lua"


@dataclass(frozen=True)
class Load:
    """What came out of one run.

    Attributes:
        requests: answered ones.
        seconds: of the run.
        p50, p90, p99, most: latency in milliseconds.
        status, socket, timeout: requests that failed: by a status over 399, by the connection, by 20 s.
    """

    requests: int
    seconds: float
    p50: float
    p90: float
    p99: float
    most: float
    status: int
    socket: int
    timeout: int

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return (self.requests - self.status) / self.seconds

    @property
    def failures(self) -> int:
        """Requests without a good answer."""
        return self.status + self.socket + self.timeout


def write_bodies(path: Path, bodies: Sequence[bytes]) -> None:
    """Write what wrk.lua reads."""
    path.write_bytes(b"".join(b"%d\n%s" % (len(body), body) for body in bodies))


def run_load(server: Server, bodies: Path, connections: int, seconds: float) -> Load:
    """Ask `server` as fast as it answers, over `connections` at once; wrk knows whole seconds only.

    Raises:
        subprocess.CalledProcessError: wrk could not run.
    """
    launch = server.launch
    url = f"http://127.0.0.1:{server.port}{launch.invocations}"
    return ask(url, bodies, launch.content_type, launch.accept, connections, seconds)


def ask(url: str, bodies: Path, content_type: str, accept: str, connections: int, seconds: float) -> Load:
    """As `run_load`, of any address; `bodies` is what `write_bodies` wrote."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{math.ceil(seconds)}s", "--timeout", "20s", "--latency"]
    command += ["-s", str(_SCRIPT), url, "--", str(bodies), content_type, accept]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return Load(**json.loads(result.stdout.strip().splitlines()[-1]))
