"""A thousand models in one container: time and memory a model, and requests to one of them or to all in turn.

Usage: .venv/bin/python -m benchmarks.multi_model MODEL [--image ensemble-cpu] [--models 1000]

MODEL is the model.tar.gz of an ensemble with features that are all numbers; every model is a copy of it. wrk
asks for one row on 1 and on 64 connections, in alternation: always the same model, then each in its turn.
Memory is the PSS of all processes of the container.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from toolkit.building.images import local_reference
from toolkit.machine.run_spec import Bind
from toolkit.serving.endpoint import Endpoint, Surroundings
from toolkit.serving.http_client import send

_PLACE = "/opt/ml/models"
_PSS = "cat /proc/[0-9]*/smaps_rollup 2>/dev/null | awk '/^Pss:/ {sum += $2} END {print sum}'"
_ROUNDS = 3
_SECONDS = 5
_SCRIPT = """
local count = 0
local bodies = {%s}
function request()
  count = count + 1
  local path = "/models/m" .. (count * 7 %% %d) .. "/invoke"
  return wrk.format("POST", path, {["Content-Type"] = "text/csv"}, bodies[count %% #bodies + 1])
end
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a table. Returns the exit code: 1 where a request failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--image", default="ensemble-cpu")
    parser.add_argument("--models", type=int, default=1000)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        models = Path(directory)
        with tarfile.open(options.model) as tar:
            tar.extractall(models / "model", filter="data")
        surroundings = Surroundings(binds=(Bind(models, _PLACE, read_only=True),))
        environment = {"SAGEMAKER_MULTI_MODEL": "true"}
        image = local_reference(options.image)
        with Endpoint(image, environment=environment, surroundings=surroundings) as endpoint:
            return _measure(endpoint, models, options.models)


def _measure(endpoint: Endpoint, directory: Path, count: int) -> int:
    features = json.loads((directory / "model" / "model.json").read_text())["schema"]["features"]
    empty = _memory(endpoint)
    print(f"healthy after {endpoint.started_in:.2f} s; {empty:.0f} MB without a model")
    seconds = []
    connection = endpoint.connect()
    for number in range(count):
        began = time.perf_counter()
        body = json.dumps({"model_name": f"m{number}", "url": f"{_PLACE}/model"}).encode()
        answer = send(connection, "POST", "/models", {}, body)
        seconds.append(time.perf_counter() - began)
        if answer.status != 200:
            print(f"model {number + 1}: {answer.status} {answer.text}", file=sys.stderr)
            return 1
        if number == 0:
            first = _memory(endpoint)
    full = _memory(endpoint)
    growth = (full - first) / max(1, count - 1)
    print(f"{count} models: {full:.0f} MB, {growth:.2f} MB for each after the first ({first - empty:.0f} MB)")
    print(f"load: {statistics.median(seconds) * 1000:.1f} ms in the median, {max(seconds):.2f} s at most")
    is_good = True
    for connections in (1, 64):
        found: dict[int, list[float]] = {1: [], count: []}
        for _ in range(_ROUNDS):
            for models, rates in found.items():
                rate, is_clean = _ask(endpoint.url, models, connections, len(features), directory)
                rates.append(rate)
                is_good &= is_clean
        told = ", ".join(
            f"{models} models {statistics.median(each):,.0f}/s" for models, each in found.items()
        )
        print(f"{connections} connections: {told}")
    loaded = _memory(endpoint)
    began = time.perf_counter()
    for number in range(count):
        send(connection, "DELETE", f"/models/m{number}", {}, b"")
    took = (time.perf_counter() - began) / count
    print(
        f"unload: {took * 1000:.1f} ms in the mean; {loaded:.0f} MB before, {_memory(endpoint):.0f} MB after"
    )
    return 0 if is_good else 1


def _memory(endpoint: Endpoint) -> float:
    """Megabytes (2**20) of all processes."""
    return int(endpoint.container.exec(["sh", "-c", _PSS], b"")) / 1024


def _ask(url: str, models: int, connections: int, features: int, directory: Path) -> tuple[float, bool]:
    """Requests a second, and whether all were answered with 2xx."""
    rows = [
        ",".join(str((row * 37 + column * 11) % 100 / 50 - 1) for column in range(features))
        for row in range(500)
    ]
    script = directory / "wrk.lua"
    script.write_text(_SCRIPT % (", ".join(f'"{row}\\n"' for row in rows), models), encoding="utf-8")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{_SECONDS}s", "-s", str(script), url]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    return float(rate[1]) if rate else 0.0, "Non-2xx" not in printed and "Socket errors" not in printed


if __name__ == "__main__":
    sys.exit(main())
