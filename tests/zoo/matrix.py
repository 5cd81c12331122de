"""Runs the suite on images of the zoo, several at one time, each in a process of its own."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest

from tests.integration import tiny_image
from tests.zoo import sound
from tests.zoo.entries import SUITE, Entry
from tests.zoo.pushed import pushed
from toolkit.building.images import ROOT
from toolkit.verify.results import FAILED, TestResult
from toolkit.verify.suite import result_of

WORKERS = 4  # most of what a test does is waiting
# Seconds until /ping must be 200. The tiny image starts at once, and some of its faults are told by the end
# of the limit; the kit starts several processes with numpy, which take their time on a busy machine.
START_LIMITS = {"tiny": "20", "kit": "60"}
# What the processes have in common before they part: a second each, otherwise.
PRELOAD = [
    "pytest",
    "xdist",
    "docker",
    "toolkit.jobs.job",
    "toolkit.serving.endpoint",
    "toolkit.building.ledger.freshness",
]
# Tests that are run beside those of the broken rule, and must pass: they share its job, or its server.
TRAINED = (
    "test_train::test_train_completes_and_leaves_a_model",
    "test_train::test_a_completed_job_writes_no_failure_file",
    "test_train::test_the_model_can_be_read_by_every_user",
)
SERVED = (
    "test_serve::test_serve_becomes_healthy_and_predicts",
    "test_serve::test_ping_may_be_posted",
    "test_invocations::test_unknown_headers_are_ignored",
)
STATIC = ("test_image::test_the_user_is_root", "test_image::test_there_is_no_healthcheck_and_no_volume")
BESIDE = {"TRAIN": TRAINED, "TT": STATIC, "AG": STATIC, "IMG": STATIC}


class Matrix:
    """What the suite finds on images of the zoo.

    Args:
        profiles: name of a sound image -> the profile to exercise it with.
    """

    def __init__(self, profiles: dict[str, Path]) -> None:
        self._profiles = profiles
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOAD)
        # Each has a process group of its own, which Ctrl-C does not reach, and which is killed as one.
        self._pool = ProcessPoolExecutor(WORKERS, context, initializer=os.setsid, max_tasks_per_child=1)

    def start(self, entries: Iterable[Entry]) -> list[Future[tuple[TestResult, ...]]]:
        """Begin with each of them; the results to come, in the same order."""
        return [self._pool.submit(found, entry, self._profiles[entry.base]) for entry in entries]

    def close(self) -> None:
        """Wait for those that run, and begin with no other."""
        self._pool.shutdown(cancel_futures=True)

    def kill(self) -> None:
        """Wait for none; what they had the engine make stays."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.kill()
            with suppress(ProcessLookupError):  # it has no group yet
                os.killpg(process.ident or 0, signal.SIGKILL)
        self.close()


def found(entry: Entry, profile: Path) -> tuple[TestResult, ...]:
    """What becomes of each test on the image of one entry.

    Raises:
        RuntimeError: pytest could not begin.
    """
    beside = BESIDE.get(entry.rule.rpartition("-")[0], SERVED)
    names = dict.fromkeys((*entry.tests, *beside))
    chosen = [f"{SUITE}/{name.replace('::', '.py::')}" for name in names]
    with tempfile.TemporaryDirectory(prefix="opt-ml-zoo-") as scratch, _image(entry, scratch) as image:
        results, log = Path(scratch, "results"), Path(scratch, "log")
        options = ["--image", image, "--profile", str(profile), "--start-limit", START_LIMITS[entry.base]]
        options += ["-p", "tests.conformance.results", "--results", str(results), "-p", "no:cacheprovider"]
        code = _pytest([*chosen, *options, f"--basetemp={scratch}/tests"], log)
        if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            raise RuntimeError(log.read_text())
        events = map(json.loads, results.read_text().splitlines())
        return tuple(result_of(event) for event in events if event["event"] == "ended")


def _image(entry: Entry, scratch: str) -> AbstractContextManager[str]:
    if entry.media_types:
        return pushed(entry.name, entry.media_types, Path(scratch))
    instructions = (*entry.instructions, *entry.variables)
    files = {path: (file.text, file.mode) for path, file in entry.files.items()}
    return tiny_image.variant(entry.name, *instructions, texts=files, base=sound.IMAGES[entry.base])


def _pytest(arguments: list[str], log: Path) -> int:
    """Run pytest in this process, and keep what it prints."""
    os.chdir(ROOT)
    descriptor = os.open(log, os.O_CREAT | os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(descriptor, stream.fileno())
    return pytest.main(arguments)


def failed(results: Iterable[TestResult]) -> set[str]:
    """`module::function` of the tests that failed."""
    return {function(result) for result in results if result.status == FAILED}


def function(result: TestResult) -> str:
    """Its name without parameters."""
    return result.name.partition("[")[0]


def broken(results: Iterable[TestResult]) -> set[str]:
    """The rules that a report names."""
    return {rule for result in results for rule in result.broken}


def differences(entry: Entry, results: tuple[TestResult, ...]) -> list[str]:
    """Where what was found is not what zoo.toml says, one sentence each."""
    tests, rules = failed(results), broken(results)
    statuses = {function(result): result.status for result in results}
    others = [result for result in results if result.status == FAILED and function(result) not in entry.tests]
    return [
        *(
            f"{name} does not notice it: {statuses.get(name, 'not run')}."
            for name in sorted(set(entry.tests) - tests)
        ),
        *(f"{result.name} fails, too: {result.seen[:300]}" for result in others),
        *(f"{rule} is not named." for rule in sorted(entry.broken - rules)),
        *(f"{rule} is named, too." for rule in sorted(rules - entry.broken)),
    ]
