"""What lies around a training job: its disks, leftovers of other jobs, and variables of the caller's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.outcomes import run
from toolkit.jobs.job import Plan, TrainingJob, plan

MakeJob = Callable[..., TrainingJob]


def on_bare_disks(made: Plan, scratch: Path) -> Plan:
    """The image and the input are read-only; only the outputs and /tmp can be written to."""
    binds = [replace(bind, read_only=bind.target.startswith("/opt/ml/input")) for bind in made.run.binds]
    disk = replace(binds[0], source=scratch, target="/tmp", read_only=False)
    return replace(made, run=replace(made.run, binds=(*binds, disk), read_only=True))


@pytest.mark.contract("TRAIN-65", "TRAIN-81", "TRAIN-100")
def test_scratch_files_go_to_tmp_and_those_of_an_earlier_job_do_no_harm(
    make_job: MakeJob, tmp_path: Path
) -> None:
    # A warm pool may give the second job the first one's /tmp, and /opt/ml anew.
    for name in ("first-of-a-pool", "second-of-a-pool"):
        run(on_bare_disks(plan(make_job(name=name)), tmp_path))


@pytest.mark.contract("TRAIN-17", "TRAIN-21")
def test_paths_of_the_caller_may_replace_those_of_the_image(make_job: MakeJob) -> None:
    run(plan(make_job(name="paths", environment={"PYTHONPATH": "/tmp/mine", "LD_LIBRARY_PATH": "/tmp/mine"})))


@pytest.mark.contract("TRAIN-80")
def test_directories_of_a_debugger_beside_the_output_do_no_harm(make_job: MakeJob, tmp_path: Path) -> None:
    for name in ("data", "metrics/sagemaker", "profiler", "tensors"):
        (tmp_path / name).mkdir(parents=True)
    made = plan(make_job(name="debugger"))
    binds = [
        replace(bind, source=tmp_path) if bind.target == "/opt/ml/output" else bind for bind in made.run.binds
    ]
    run(replace(made, run=replace(made.run, binds=tuple(binds))))
