"""Training jobs that cannot go well: the person learns why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.profile import Fault, Profile, csv_text, table
from toolkit.jobs.job import Channel, JobResult, TrainingJob, execute, plan

MakeJob = Callable[..., TrainingJob]


def cause(result: JobResult) -> str:
    """The first line of the failure file; everything that every failure has in common is checked."""
    assert result.status == "Failed"
    assert result.exit_code != 0
    failure = result.host_dir / "output" / "failure"
    assert failure.exists(), "no /opt/ml/output/failure"
    first_line = failure.read_text().partition("\n")[0]
    assert first_line.strip()
    assert not first_line.startswith("Traceback")
    assert len(first_line) <= 1024, "the cause does not fit into FailureReason"
    assert not result.model, "a failed job left a model"
    return first_line


@pytest.mark.contract("TRAIN-75", "TRAIN-76", "TRAIN-77")
def test_a_wrong_call_is_named_in_the_first_line_of_the_failure_file(
    fault: Fault, make_job: MakeJob, profile: Profile, tmp_path: Path
) -> None:
    (tmp_path / "data.csv").write_text(
        csv_text(table(80, seed=1)) + (fault.last_row and fault.last_row + "\n")
    )
    job = make_job(
        channels=(Channel("train", tmp_path, "text/csv"),),
        hyperparameters={**profile.hyperparameters, **fault.hyperparameters},
    )
    first_line = cause(execute(plan(job)))
    assert [name for name in fault.names if name not in first_line] == []


@pytest.mark.contract("TRAIN-75", "TRAIN-77")
def test_an_empty_channel_is_named(make_job: MakeJob, profile: Profile, tmp_path: Path) -> None:
    channel = Channel(profile.channel, tmp_path, "text/csv")
    assert profile.channel in cause(execute(plan(make_job(name="empty-channel", channels=(channel,)))))


@pytest.mark.contract("TRAIN-36")
def test_a_job_without_channels_ends_with_a_reason(make_job: MakeJob, profile: Profile) -> None:
    assert profile.channel in cause(execute(plan(make_job(name="no-channels", channels=()))))


@pytest.mark.contract("TRAIN-31")
def test_a_job_without_hyperparameters_gets_as_far_as_its_data(
    make_job: MakeJob, profile: Profile, tmp_path: Path
) -> None:
    channel = Channel(profile.channel, tmp_path, "text/csv")
    job = make_job(name="defaults", hyperparameters={}, channels=(channel,))
    assert profile.channel in cause(execute(plan(job)))
