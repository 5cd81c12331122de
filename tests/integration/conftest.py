"""Tests that need a Docker engine, and an image small enough to be made for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from toolkit.jobs.job import JobResult, TrainingJob, execute, plan

# Names that the scripts of jobs use.
PRELUDE = """
import json, os, signal, socket, sys, time
from pathlib import Path
base = Path("/opt/ml")
config = lambda name: json.loads((base / "input/config" / f"{name}.json").read_text())
host = config("resourceconfig")["current_host"]
hosts = config("resourceconfig")["hosts"]
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.docker)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A train file of two rows; the mean label is 5."""
    path = tmp_path / "data.csv"
    path.write_text("1,2,4\n3,4,6\n")
    return path


RunScript = Callable[..., JobResult]


@pytest.fixture
def run_script(tiny: str, tmp_path: Path) -> RunScript:
    """Runs Python text as the job's program, on every host; keyword arguments are those of `TrainingJob`."""

    def run(
        script: str, on_line: Callable[[str], None] = print, watch: Any = None, **changes: Any
    ) -> JobResult:
        source_dir = tmp_path / "code"
        source_dir.mkdir(exist_ok=True)
        (source_dir / "main.py").write_text(PRELUDE + dedent(script))
        usual = {
            "name": "a-job",
            "jobs_dir": tmp_path / "jobs",
            "source_dir": source_dir,
            "entry_point": "main.py",
            "entrypoint": ("python3", "-u", "/opt/ml/code/main.py"),
        }
        job = TrainingJob(tiny, **{**usual, **changes})
        return execute(plan(job), on_line=on_line, watch=watch)

    return run


@pytest.fixture
def said() -> Callable[[JobResult], dict[str, list[str]]]:
    """Host -> its lines, of the last start, read from its stream."""

    def lines(result: JobResult) -> dict[str, list[str]]:
        return {host: newest_stream(result, host).read_text().splitlines() for host in result.host_dirs}

    return lines


def newest_stream(result: JobResult, host: str) -> Path:
    return max(
        path for path in (result.log.parent / "logs").iterdir() if path.name.rpartition("-")[0] == host
    )
