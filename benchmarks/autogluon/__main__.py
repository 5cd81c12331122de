"""AutoGluon behind our server, behind gunicorn, and alone: one row and a thousand, side by side in one run.

Usage: .venv/bin/python -m benchmarks.autogluon [--seconds 5] [--rounds 2] [--model DIRECTORY]

It trains a model of the default kind (medium_quality) on 4,177 rows of seven numbers and a text, made with a
fixed seed and shaped like the abalone data, then serves it twice: by the AutoGluon image, and by the same
image with the server of AWS's (gunicorn, one synchronous worker, `transform_fn`). wrk asks in turn. Nothing
else should run on the machine; where something does, the CPU time of a request still compares the two.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving.load import Load, ask, write_bodies
from examples.autogluon.shells import ROWS, made_up
from toolkit.building import bake, builder, images
from toolkit.jobs.job import Channel, TrainingJob, execute, plan
from toolkit.machine import buildx
from toolkit.namespace import LOCAL_NAMESPACE
from toolkit.serving.endpoint import Endpoint

IMAGE = "autogluon-cpu"
PEER = f"{LOCAL_NAMESPACE}/{IMAGE}:gunicorn"
MANY = 1000
CASES = ((1, 1), (64, 1), (1, MANY))  # connections, rows of a request
# Nanoseconds of all processes of a container, by the first and the second version of control groups.
_CPU_TIME = (
    "cat /sys/fs/cgroup/cpuacct/cpuacct.usage 2>/dev/null || "
    "sed -n 's/^usage_usec \\(.*\\)/\\1000/p' /sys/fs/cgroup/cpu.stat"
)


@dataclass(frozen=True)
class Visit:
    """One measurement of one server.

    Attributes:
        cpu: milliseconds that its container has computed, for each request.
    """

    load: Load
    cpu: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a table. Returns the exit code: 1 where a request failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="of one measurement (5)")
    parser.add_argument("--rounds", type=int, default=2, help="of all measurements (2)")
    parser.add_argument("--model", type=Path, help="of an earlier job on the same columns (default: train)")
    options = parser.parse_args(arguments)
    _build_peer()
    with tempfile.TemporaryDirectory() as directory:
        model = options.model or _train(Path(directory))
        return _compare(model, Path(directory), options.seconds, options.rounds)


def _build_peer() -> None:
    image = images.matrix()[IMAGE]
    definition = bake.make_test_definition(image, builder.look_around())
    (target,) = definition["target"].values()
    target["context"], target["tags"] = str(Path(__file__).parent / "image"), [PEER]
    buildx.bake(definition, list(definition["target"]))


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    return "".join(",".join(row) + "\n" for row in rows).encode()


def _train(directory: Path) -> Path:
    (directory / "train").mkdir()
    (directory / "train" / "data.csv").write_bytes(_csv(made_up(ROWS, seed=1)))
    job = TrainingJob(
        image=images.find(IMAGE).reference,
        channels=(Channel("train", directory / "train", "text/csv"),),
        hyperparameters={"problem_type": "regression", "feature_importance": "false", "time_limit": "120"},
        jobs_dir=directory / "jobs",
    )
    result = execute(plan(job))
    if result.model is None:
        raise SystemExit(result.summary())
    return result.model


def _compare(model: Path, directory: Path, seconds: float, rounds: int) -> int:
    rows = [row[:-1] for row in made_up(MANY, seed=2)]
    bodies = {1: [_csv([row]) for row in rows], MANY: [_csv(rows)]}
    for size, made in bodies.items():
        write_bodies(directory / f"{size}.bodies", made)
    # Threads as a worker of ours has them, for both.
    environment = {"OMP_NUM_THREADS": "1"}
    ours = Endpoint(images.find(IMAGE).reference, model)
    peer = Endpoint(PEER, model, environment=environment)
    found: dict[tuple[str, int, int], list[Visit]] = {}
    table = _csv(rows)
    with ours, peer:
        command = ["python", "/opt/peer/bare.py", "50", str(len(table))]
        bare = json.loads(peer.container.exec(command, table).splitlines()[-1])
        for _ in range(rounds):
            for connections, size in CASES:
                for name, endpoint in (("ours", ours), ("gunicorn", peer)):
                    visit = _visit(endpoint, directory / f"{size}.bodies", connections, seconds)
                    found.setdefault((name, connections, size), []).append(visit)
    return _tell(found, bare)


def _visit(endpoint: Endpoint, bodies: Path, connections: int, seconds: float) -> Visit:
    before = _cpu_time(endpoint)
    load = ask(f"{endpoint.url}/invocations", bodies, "text/csv", "text/csv", connections, seconds)
    return Visit(load, (_cpu_time(endpoint) - before) / max(load.requests, 1))


def _cpu_time(endpoint: Endpoint) -> float:
    """Milliseconds."""
    return int(endpoint.container.exec(["sh", "-c", _CPU_TIME], b"")) / 1e6


def _tell(found: dict[tuple[str, int, int], list[Visit]], bare: dict[str, float]) -> int:
    alone = f"{bare['1']:.1f} ms for one row, {bare[str(MANY)]:.1f} for {MANY}"
    print(f"{os.cpu_count()} CPUs. predict() alone: {alone}")
    print("connections  rows    server requests/s  p50 ms  p99 ms CPU ms/request failed")
    failed = 0
    for (name, connections, size), visits in sorted(found.items(), key=lambda item: item[0][1:]):
        rate, p50, p99 = (
            statistics.median(getattr(visit.load, what) for visit in visits)
            for what in ("rate", "p50", "p99")
        )
        cpu = statistics.median(visit.cpu for visit in visits)
        bad = sum(visit.load.failures for visit in visits)
        failed += bad
        row = f"{connections:>11} {size:>5} {name:>9} {rate:>10,.1f} {p50:>7.1f} {p99:>7.1f}"
        print(f"{row} {cpu:>14.3f} {bad:>6}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
