"""One visit to one peer: start it, check its answers, load it in every way, weigh it, stop it."""

from __future__ import annotations

import json
import math
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.serving import environments, model
from benchmarks.serving.load import Load, run_load, write_bodies
from benchmarks.serving.peers import APPS, PEERS, WORKERS, Peer, Place
from benchmarks.serving.server import Server, free_port

_TOLERANCE = 2e-4  # of an answer, relative to the libraries' own: the compiled path sums 32-bit numbers
_CHECKED = 25  # answers compared before the load and after it
_WARM_UP = 1.0  # seconds of load that are not measured


@dataclass(frozen=True)
class Case:
    """One kind of load: rows a request, and connections."""

    rows: int
    connections: int


@dataclass(frozen=True)
class Requests:
    """Bodies and the predictions that belong to them.

    Attributes:
        bodies: rows a request -> different bodies, as CSV.
        expected: the libraries' own predictions of the first one-row bodies.
    """

    bodies: Mapping[int, Sequence[bytes]]
    expected: Sequence[float]


@dataclass(frozen=True)
class Visit:
    """What one visit measured.

    Attributes:
        healthy, answered: seconds from the start; see `Server`.
        idle_memory: PSS in MB after the first answers.
        memory: rows a request -> PSS in MB after the load with so many.
        processes: how many, after the load.
        wrong: answers that differ from the libraries' own.
        loads: case -> result.
    """

    healthy: float
    answered: float
    idle_memory: float
    memory: Mapping[int, float]
    processes: int
    wrong: int
    loads: Mapping[Case, Load] = field(default_factory=dict)


def make_requests(environment: environments.Environment, trained: Path) -> Requests:
    """The bodies, and what the libraries say of them."""
    bodies = {1: model.single_bodies(), model.LARGE_ROWS: model.large_bodies()}
    program = "import sys, ensemble as e; m = e.load(sys.argv[1]); "
    program += "sys.stdout.write(e.write(e.predict(e.parse(sys.stdin.read()), m)))"
    answer = subprocess.run(
        [environment.python, "-c", program, trained],
        input=b"".join(bodies[1][:_CHECKED]),
        env={"PYTHONPATH": str(APPS), "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
    )
    return Requests(bodies, model.predictions(answer.stdout, is_protocol=False))


def visit(peer: Peer, trained: Path, requests: Requests, cases: Sequence[Case], seconds: float) -> Visit:
    """Measure `peer` once.

    Raises:
        RuntimeError: it does not start, or cannot be reached after the load.
    """
    environment = environments.ensure(peer.environment)
    with tempfile.TemporaryDirectory(prefix="serving-") as scratch:
        directory = Path(scratch)
        bodies = {rows: _encode(peer, found) for rows, found in requests.bodies.items()}
        for rows, encoded in bodies.items():
            write_bodies(directory / f"bodies-{rows}", encoded)
        place = Place(environment, trained, free_port(), directory / "run")
        place.directory.mkdir()
        with Server(peer.launch(place), place.port, place.directory) as server:
            server.start(bodies[1][0])
            wrong = _count_wrong(peer, server, bodies[1], requests.expected)
            idle_memory = server.memory()
            loads: dict[Case, Load] = {}
            memory: dict[int, float] = {}
            for rows in bodies:
                path = directory / f"bodies-{rows}"
                run_load(server, path, 64, _WARM_UP)  # each worker loads what it had not loaded yet
                for case in cases:
                    if case.rows == rows:
                        loads[case] = run_load(server, path, case.connections, seconds)
                memory[rows] = server.memory()
            processes = len(server.processes())
            wrong += _count_wrong(peer, server, bodies[1], requests.expected)
            return Visit(server.healthy, server.answered, idle_memory, memory, processes, wrong, loads)


def bare_loop(
    environment: environments.Environment, trained: Path, bodies: Sequence[bytes], seconds: float
) -> tuple[float, float]:
    """Calls a second of one loop on each CPU, together: the prediction alone; with parsing and writing."""
    with tempfile.TemporaryDirectory(prefix="serving-") as scratch:
        path = Path(scratch) / "bodies.json"
        path.write_text(json.dumps([body.decode() for body in bodies]))
        command = [str(environment.python), str(APPS / "bare_loop.py"), str(trained), str(path), str(seconds)]
        variables = {"OMP_NUM_THREADS": "1"}
        loops = [subprocess.Popen(command, env=variables, stdout=subprocess.PIPE) for _ in range(WORKERS)]
        found = [json.loads(loop.communicate()[0]) for loop in loops]
    return sum(one["predict"] for one in found), sum(one["all"] for one in found)


def visit_in_turn(
    names: Sequence[str], rounds: int, cases: Sequence[Case], seconds: float
) -> tuple[dict[str, list[Visit]], dict[int, list[tuple[float, float]]]]:
    """Visit every peer once a round, each round in another order; say what happens.

    Returns:
        peer -> visits, and rows a request -> rates of the bare loop; a peer that failed has fewer visits.
    """
    environment = environments.ensure("native")
    trained = model.trained_model(environment)
    requests = make_requests(environment, trained)
    for name in names:
        environments.ensure(PEERS[name].environment)
    visits: dict[str, list[Visit]] = {name: [] for name in names}
    loops: dict[int, list[tuple[float, float]]] = {rows: [] for rows in requests.bodies}
    for number in range(rounds):
        for rows, bodies in requests.bodies.items():
            loops[rows].append(bare_loop(environment, trained, bodies, seconds / 2))
        for name in _order(names, number):
            began = time.monotonic()
            try:
                found = visit(PEERS[name], trained, requests, cases, seconds)
            except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
                print(f"round {number + 1}: {name} failed: {error}", flush=True)
                continue
            visits[name].append(found)
            rates = ", ".join(f"{load.rate:.0f}/s" for load in found.loads.values())
            print(f"round {number + 1}: {name:18} {rates} ({time.monotonic() - began:.0f} s)", flush=True)
    return visits, loops


def _order(names: Sequence[str], number: int) -> list[str]:
    """Forward and backward in turn, and each time from another place: nobody always follows the same one."""
    shift = (number * len(names)) // 3 % len(names)
    turned = [*names[shift:], *names[:shift]]
    return turned[::-1] if number % 2 else turned


def _encode(peer: Peer, bodies: Sequence[bytes]) -> Sequence[bytes]:
    return model.as_inference_protocol(bodies) if peer.is_protocol else bodies


def _count_wrong(peer: Peer, server: Server, bodies: Sequence[bytes], expected: Sequence[float]) -> int:
    if not peer.predicts:
        return 0
    wrong = 0
    for body, value in zip(bodies, expected, strict=False):
        status, answer = server.ask(body)
        found = model.predictions(answer, peer.is_protocol) if status == 200 else []
        wrong += len(found) != 1 or not math.isclose(found[0], value, rel_tol=_TOLERANCE)
    return wrong
