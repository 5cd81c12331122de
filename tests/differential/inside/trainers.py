"""Both `train` commands, really run: each job in a process forked from this one, which has imported them."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from jobs import BASE, DUMP, Job
from opt_ml.training import main as native
from opt_ml.training.script import run as _run  # noqa: F401 - imported once for all jobs
from sagemaker_training import environment, trainer

_LIMIT = 60  # seconds; a job that hangs must end as a failure of the test
_OF_THE_SHELL = {"_", "PWD", "SHLVL", "OLDPWD"}


class Outcome(NamedTuple):
    """What came of a job.

    Attributes:
        facts: name of a variable, or `arguments`, `directory`, `exit code`, `success`, `code` (the files of
            /opt/ml/code), to its value; without the variables where the program was not started.
        log: standard output and error.
    """

    facts: dict[str, Any]
    log: str


def run_native(job: Job) -> Outcome:
    """By our own `train`."""
    return _run_job(job, native.main)


def run_toolkit(job: Job) -> Outcome:
    """By `sagemaker-training`."""
    return _run_job(job, _toolkit_main)


def _toolkit_main() -> int:
    environment._create_code_dir()  # done on import, which came before the job
    trainer.train()  # ends by SystemExit
    return 0


def _run_job(job: Job, main: Callable[[], int]) -> Outcome:
    variables = job.lay_out()
    with tempfile.TemporaryFile() as log:
        pid = os.fork()
        if pid == 0:
            _become(main, variables, log.fileno(), job.one_cpu)
        _, status = os.waitpid(pid, 0)
        log.seek(0)
        text = log.read().decode(errors="replace")
    facts: dict[str, Any] = {
        "exit code": os.waitstatus_to_exitcode(status),
        "success": (BASE / "output" / "success").exists(),
        "code": sorted(
            str(path.relative_to(BASE))
            for path in (BASE / "code").rglob("*")
            if "__pycache__" not in path.parts
        ),
    }
    if DUMP.exists():
        directory, count, *rest = DUMP.read_bytes().decode(errors="surrogateescape").split("\0")[:-1]
        facts |= {"directory": directory, "arguments": rest[: int(count)]}
        variables = dict(text.split("=", 1) for text in rest[int(count) :])
        facts |= {name: value for name, value in variables.items() if name not in _OF_THE_SHELL}
    return Outcome(facts, text)


def _become(main: Callable[[], int], variables: dict[str, str], log: int, one_cpu: bool) -> None:
    """In the child: the job's environment, its output into the log, and never back."""
    code = 99
    try:
        signal.alarm(_LIMIT)
        if one_cpu:
            os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
        os.environ.clear()
        os.environ.update(variables)
        for descriptor in (1, 2):
            os.dup2(log, descriptor)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        sys.path[:] = [entry for entry in sys.path if "/checkout" not in entry]
        code = int(main() or 0)
    except SystemExit as error:
        code = int(error.code or 0)
    finally:
        sys.stdout.flush()
        os._exit(code & 255)


def differing(job: Job) -> tuple[set[str], dict[str, tuple[Any, Any]], str]:
    """The names of facts that differ, the facts themselves (toolkit's, ours), and both logs."""
    theirs, ours = run_toolkit(job), run_native(job)
    pairs = {
        name: (theirs.facts.get(name), ours.facts.get(name))
        for name in {*theirs.facts, *ours.facts}
        if theirs.facts.get(name) != ours.facts.get(name)
    }
    return set(pairs), pairs, f"--- toolkit\n{theirs.log[-3000:]}\n--- ours\n{ours.log[-3000:]}"


def clean_up() -> None:
    """Take the job's tree away."""
    for directory in (BASE, Path("/tmp/sources")):
        shutil.rmtree(directory, ignore_errors=True)
