"""What HTTP itself costs: CPU time a request of the server's processes, with a model that costs nothing.

Usage: .venv/bin/python benchmarks/front.py [--rounds 3] [--seconds 3] [--connections 64]

Needs `wrk`. Three servers take turns under the same load, so that a slow moment of the machine hits all:

- bare: an asyncio.Protocol on uvloop that writes one constant answer to whatever it receives. The floor.
- quick path: `serve` with a quick path that gives the same answer; clients send plain requests.
- full server: the same, but the client's `TE` header keeps each request off the plain path.

CPU time, not requests a second, is compared: it is the same whatever else the machine does.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BODY = "5.1,3.5,1.4,0.2,6.7,3.1,4.4,1.4,6.3,2.9"
BARE = """
import asyncio, sys, uvloop
ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Length: 15\\r\\nContent-Type: text/csv\\r\\n\\r\\n0.123456789012\\n"
class Bare(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        self.transport.write(ANSWER)
async def main():
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
uvloop.run(main())
"""
QUICK = """
from opt_ml.serving.answers import Answer
class Quick:
    most_rows = 128
    def answer(self, requests):
        return [Answer(200, "text/csv", b"0.123456789012\\n") for _ in requests]
def load_quick(model_dir):
    return Quick()
"""


class Load(NamedTuple):
    """What one round has measured: CPU microseconds a request, in user mode and in the kernel."""

    user: float
    system: float
    rate: float


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="front-") as scratch:
        base = Path(scratch)
        (base / "bare.py").write_text(BARE)
        port, other = free_port(), free_port()
        bare = subprocess.Popen([sys.executable, base / "bare.py", str(port)])
        serve = subprocess.Popen(
            [sys.executable, "-m", "opt_ml.serving.main"],
            env={**os.environ, **image(base), "SAGEMAKER_BIND_TO_PORT": str(other)},
            stdout=subprocess.DEVNULL,
        )
        kinds = {
            "bare": (bare, port, ""),
            "quick path": (serve, other, ""),
            "full server": (serve, other, 'wrk.headers["TE"] = "trailers"\n'),
        }
        try:
            time.sleep(2.0)  # the lanes start
            loads: dict[str, list[Load]] = {name: [] for name in kinds}
            for _ in range(options.rounds):
                for name, (process, at, header) in kinds.items():
                    loads[name].append(measure(base, process.pid, at, header, options))
        finally:
            for process in (bare, serve):
                process.terminate()
                process.wait()
    print(f"{'user us':>8} {'kernel us':>10} {'requests/s':>11}  a request, median of {options.rounds}")
    for name, found in loads.items():
        user, system, rate = (statistics.median(values) for values in zip(*found, strict=True))
        print(f"{user:8.1f} {system:10.1f} {rate:11.0f}  {name}")


def image(base: Path) -> dict[str, str]:
    """Variables under which `serve` finds a package with a quick path."""
    facts = base / "front_benchmark-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: front-benchmark\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[opt_ml.quick]\nbenchmark = front_benchmark_quick:load_quick\n")
    (base / "front_benchmark_quick.py").write_text(QUICK)
    (base / "model").mkdir()
    return {"PYTHONPATH": f"{ROOT / 'entrypoints'}{os.pathsep}{base}", "SAGEMAKER_BASE_DIR": str(base)}


def measure(base: Path, process: int, port: int, header: str, options: argparse.Namespace) -> Load:
    """Load one server for a while."""
    script = base / "post.lua"
    script.write_text(
        f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "text/csv"\n{header}wrk.body = "{BODY}"\n'
    )
    command = ["wrk", "-t1", f"-c{options.connections}", f"-d{options.seconds}s", "-s", str(script)]
    before = cpu_times(process)
    output = subprocess.run(
        [*command, f"http://127.0.0.1:{port}/invocations"], check=True, capture_output=True, text=True
    ).stdout
    after = cpu_times(process)
    found = re.search(r"(\d+) requests in", output)
    if found is None or "Non-2xx" in output or "Socket errors" in output:
        sys.exit(f"The server did not answer well:\n{output}")
    count = int(found[1])
    user, system = ((after[key] - before[key]) / count * 1e6 for key in ("user", "system"))
    return Load(user, system, count / options.seconds)


def cpu_times(process: int) -> Mapping[str, float]:
    """CPU seconds of a process and its children that live."""
    total = {"user": 0.0, "system": 0.0}
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    for one in (process, *map(int, children)):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total["user"] += int(fields[11]) / os.sysconf("SC_CLK_TCK")
        total["system"] += int(fields[12]) / os.sysconf("SC_CLK_TCK")
    return total


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
