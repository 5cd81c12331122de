"""Runs tests/conformance on an image, in a process of its own, and reads what becomes of each test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from toolkit.building.images import ROOT
from toolkit.errors import ToolkitError
from toolkit.machine.containers import RUN_VARIABLE, engine
from toolkit.verify.contract import SUITE
from toolkit.verify.results import TestResult

LOCK = "requirements/verify.txt"
LAST_LINES = 6  # of a pytest that could not begin
PACKAGES = ("pytest", "xdist", "rich")


class Progress(Protocol):
    """Hears of the tests as they run."""

    def found(self, tests: int) -> None:
        """So many will be run."""

    def begins(self, test: str) -> None:
        """One has begun."""

    def ended(self, test: TestResult) -> None:
        """One has ended."""


@dataclass(frozen=True)
class Run:
    """What pytest is told.

    Attributes:
        image: a local reference.
        profile: a name in tests/conformance/profiles, or a file.
        only: ids of rules whose tests are run; empty for all.
        workers: processes that run tests at one time.
        start_limit: seconds until /ping must be 200.
        job_limit: seconds until a job must have ended.
        tests: further pytest arguments, such as `-k NAME`.
    """

    image: str
    profile: str
    only: frozenset[str] = frozenset()
    workers: int = 4
    start_limit: float = 480.0
    job_limit: float = 600.0
    tests: tuple[str, ...] = ()

    def command(self, results: Path) -> list[str]:
        """The process; its test results go to the file or pipe `results`."""
        command = [sys.executable, "-m", "pytest", str(SUITE), "-p", "tests.conformance.results"]
        command += ["--results", str(results), "--image", self.image, "--profile", self.profile]
        command += ["--start-limit", f"{self.start_limit:g}", "--job-limit", f"{self.job_limit:g}"]
        command += ["-p", "no:cacheprovider", "-q", "-r", "N", *self.tests]
        if self.only:
            command += ["--only", ",".join(sorted(self.only))]
        if self.workers > 1:
            command += ["-n", str(self.workers), "--dist", "loadgroup"]
        return command


def run(asked: Run, progress: Progress) -> tuple[TestResult, ...]:
    """Run the tests.

    Returns:
        one result a test, in the order of their ends.

    Raises:
        ToolkitError: pytest could not begin; its last lines.
        KeyboardInterrupt: Ctrl-C; nothing is left of the tests when it is raised.
    """
    ended: list[TestResult] = []
    run_name = os.environ.get(RUN_VARIABLE) or uuid.uuid4().hex
    with _scratch(asked.image) as scratch, tempfile.TemporaryFile("w+") as output:
        results = scratch / "results"
        os.mkfifo(results)
        process = subprocess.Popen(
            asked.command(results),
            cwd=ROOT,
            env={**_environment(), "PYTHONPATH": str(ROOT), "TMPDIR": str(scratch), RUN_VARIABLE: run_name},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # no Ctrl-C reaches it: a test may take one for its own
        )
        try:
            for event in _events(results, process):
                _tell(event, progress, ended)
            process.wait()
        except BaseException:
            _end(process, run_name)
            raise
        if process.returncode not in (0, 1, 5):  # 5: no test is asked for
            output.seek(0)
            lines = [line for line in output.read().splitlines() if line.strip()]
            told = [line for line in lines if line.startswith("ERROR: ")] or lines
            last = "\n".join(f"    {line.removeprefix('ERROR: ')}" for line in told[-LAST_LINES:])
            raise ToolkitError(f"The tests could not be run:\n{last}")
    return tuple(ended)


def _tell(event: Mapping[str, Any], progress: Progress, ended: list[TestResult]) -> None:
    if event["event"] == "found":
        progress.found(len(event["tests"]))
    elif event["event"] == "begins":
        progress.begins(event["test"])
    else:
        ended.append(result_of(event))
        progress.ended(ended[-1])


def result_of(event: Mapping[str, Any]) -> TestResult:
    """What became of a test, from what tests/conformance/results.py has written at its end."""
    values = {key: event[key] for key in ("status", "seen", "findings", "notes", "cause", "seconds")}
    return TestResult(event["test"], tuple(event["rules"]), **values)


@contextmanager
def _scratch(image: str) -> Iterator[Path]:
    """A directory for all that the tests write, where containers have written as root, too."""
    with tempfile.TemporaryDirectory(prefix="opt-ml-verify-", ignore_cleanup_errors=True) as directory:
        try:
            yield Path(directory)
        finally:
            with suppress(ToolkitError, OSError):  # an image without `chown`
                engine().give_to_caller(image, Path(directory))


def _events(results: Path, process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """Each event as it comes, until pytest closes its end, or ends before it has opened it."""
    descriptor = os.open(results, os.O_RDONLY | os.O_NONBLOCK)
    rest = b""
    with os.fdopen(descriptor, "rb", buffering=0) as stream:
        has_begun = False
        while True:
            is_over = process.poll() is not None
            if part := _read(stream.fileno()):
                has_begun = True
                *lines, rest = (rest + part).split(b"\n")
                yield from map(json.loads, lines)
            elif is_over or (part == b"" and has_begun):
                return
            else:
                _nap(process)


def _read(descriptor: int) -> bytes | None:
    """What there is; None where nothing is there yet; empty where nobody has the other end open."""
    try:
        return os.read(descriptor, 1 << 16)
    except BlockingIOError:
        return None


def _nap(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(0.1)
    except subprocess.TimeoutExpired:
        return


def _end(process: subprocess.Popen[bytes], run_name: str) -> None:
    """Kill pytest, its workers and what they have started, and remove what they had the engine make.

    Asked to end they would take their time: a job that is stopped has two minutes (TRAIN-94).
    """
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    engine().remove_run(run_name)


def _environment() -> dict[str, str]:
    """Without what a pytest around us tells its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
