"""PyTorch models behind our server and behind TorchServe, side by side in one run.

Usage: .venv/bin/python -m benchmarks.pytorch [--seconds 2] [--rounds 3] [--models cnn,transformer]

README.md beside this file says what is measured, and holds the last table.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.pytorch.peers import APPS, ENVIRONMENT, JOINED, MODELS, PEERS, SUFFIXES, WORKERS, Place
from benchmarks.serving import environments
from benchmarks.serving.load import Load, run_load, write_bodies
from benchmarks.serving.server import Server, free_port

_CONNECTIONS = (1, 64)
_WARM_UP = 12.0  # seconds of load that are not measured: Java gets faster for 10 s and more
_CHECKED = 20  # answers of each visit that are compared
_TOLERANCE = 1e-4
_WIDTHS = {"cnn": 8, "larger-cnn": 28}  # as in apps/networks.py, which imports PyTorch


class Cost(NamedTuple):
    """One load, and the CPU time of all the server's processes for a request of it, in microseconds."""

    load: Load
    cpu: float


Costs = dict[tuple[str, str, int], list[Cost]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print tables. Returns the exit code: 1 where a request failed or an answer was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one load (2)")
    parser.add_argument("--rounds", type=int, default=3, help="visits to each server (3)")
    parser.add_argument("--models", default=",".join(MODELS), help=f"of {','.join(MODELS)}")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"of {','.join(PEERS)}")
    options = parser.parse_args(arguments)
    environments.ensure(ENVIRONMENT)
    found: Costs = {}
    limits: dict[str, list[float]] = {}
    failed = 0
    with tempfile.TemporaryDirectory(prefix="pytorch-") as scratch:
        for model in options.models.split(","):
            weights = Path(scratch) / f"{model}.pt"
            _run_app("networks.py", model, str(weights))
            bodies = make_bodies(model)
            write_bodies(Path(scratch) / f"{model}.bodies", bodies)
            sample = Path(scratch) / f"sample{SUFFIXES[model]}"
            sample.write_bytes(bodies[0])
            expected: list[list[float]] = []
            for number in range(options.rounds):
                limits.setdefault(model, []).append(bare_loops(weights, model, options.seconds))
                names = options.peers.split(",")
                for name in names if number % 2 == 0 else names[::-1]:
                    with tempfile.TemporaryDirectory(dir=scratch) as directory:
                        place = Place(model, weights, sample, free_port(), Path(directory))
                        failed += _visit(name, place, bodies, expected, options.seconds, found)
    print(tell(found, limits))
    bad = sum(one.load.failures for costs in found.values() for one in costs)
    print(f"\n{bad} requests failed, {failed} answers were wrong.")
    return 1 if bad or failed else 0


def make_bodies(model: str, count: int = 500) -> list[bytes]:
    """Different requests of one picture or the tokens of one text, NPY, or of one text, JSON."""
    source = random.Random(3)
    if model == "transformer":
        words = [f"word{number}" for number in range(2000)]
        texts = (" ".join(source.choices(words, k=source.randint(8, 30))) for _ in range(count))
        return [json.dumps({"inputs": text}).encode() for text in texts]
    numbers = np.random.default_rng(3)
    if model == "tokens":
        return [_npy(text) for text in numbers.integers(4096, size=(count, 1, 16))]
    width = _WIDTHS[model]
    return [_npy(picture) for picture in numbers.random((count, 1, 1, width, width), dtype=np.float32)]


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def bare_loops(weights: Path, model: str, seconds: float) -> float:
    """Rows a second of one loop on each CPU, together."""
    words = [str(APPS / "bare_loop.py"), str(weights), model, str(JOINED), str(seconds / 2)]
    command = [str(environments.ENVIRONMENTS[ENVIRONMENT].python), *words]
    loops = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(WORKERS)]
    return sum(float(loop.communicate()[0]) for loop in loops)


def _run_app(name: str, *arguments: str) -> None:
    python = environments.ENVIRONMENTS[ENVIRONMENT].python
    subprocess.run([str(python), str(APPS / name), *arguments], check=True)


def _visit(
    name: str,
    place: Place,
    bodies: Sequence[bytes],
    expected: list[list[float]],
    seconds: float,
    found: Costs,
) -> int:
    """Measure one server once; how many answers differ from those of the first server."""
    with Server(PEERS[name][1](place), place.port, place.directory) as server:
        server.start(bodies[0])
        answers = [_numbers(server.ask(body)[1]) for body in bodies[:_CHECKED]]
        expected[:] = expected or answers
        path = place.weights.with_suffix(".bodies")
        run_load(server, path, max(_CONNECTIONS), _WARM_UP)
        for connections in _CONNECTIONS:
            before = server.cpu_seconds()
            load = run_load(server, path, connections, seconds)
            cost = (server.cpu_seconds() - before) / max(load.requests, 1) * 1e6
            found.setdefault((place.model, name, connections), []).append(Cost(load, cost))
            told = f"{place.model} {name} {connections}: {load.rate:.0f}/s, {cost:.0f} us"
            print(told, file=sys.stderr, flush=True)
    return sum(not _are_close(*pair) for pair in zip(answers, expected, strict=True))


def _numbers(body: bytes) -> list[float]:
    found = json.loads(body)
    row: list[float] = found[0] if isinstance(found[0], list) else found
    return row


def _are_close(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    return len(ours) == len(theirs) and all(
        math.isclose(one, other, abs_tol=_TOLERANCE) for one, other in zip(ours, theirs, strict=True)
    )


def tell(found: Costs, limits: dict[str, list[float]]) -> str:
    """Tables of medians as Markdown."""
    lines = []
    for model, rates in limits.items():
        limit = statistics.median(rates)
        lines += [
            f"{model}: the model alone, {JOINED} rows a call, a loop on each CPU: {limit:.0f} rows a second",
            "",
        ]
        lines += [
            "| server | 1 connection | 64 | 64: p50/p99 ms | 64: CPU us a request | 64, of the loop |",
            "|---|---|---|---|---|---|",
        ]
        for name in (name for name in PEERS if (model, name, 1) in found):
            costs = [found[model, name, connections] for connections in _CONNECTIONS]
            loads = [[one.load for one in some] for some in costs]
            figures = [_median(some, "rate") for some in loads]
            times = f"{_median(loads[-1], 'p50'):.1f}/{_median(loads[-1], 'p99'):.1f}"
            cpu = f"{statistics.median(one.cpu for one in costs[-1]):.0f}"
            cells = [
                PEERS[name][0],
                *(f"{figure:.0f}" for figure in figures),
                times,
                cpu,
                f"{figures[-1] / limit:.2f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _median(loads: Sequence[Load], what: str) -> float:
    return float(statistics.median(getattr(load, what) for load in loads))


if __name__ == "__main__":
    sys.exit(main())
