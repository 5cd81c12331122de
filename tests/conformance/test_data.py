"""How an image takes its channels: through pipes, with RecordIO, in shares, on several hosts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.outcomes import completed_or_named, told
from tests.conformance.profile import csv_text, table
from toolkit.jobs.job import Channel, InstanceGroup, TrainingJob, execute, plan

MakeJob = Callable[..., TrainingJob]

ROWS = 80


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A channel of four objects, one of them in a folder."""
    directory = tmp_path_factory.mktemp("parts")
    (directory / "more").mkdir()
    rows = table(ROWS, seed=1)
    for number, name in enumerate(("0.csv", "1.csv", "2.csv", "more/3.csv")):
        (directory / name).write_text(csv_text(rows[number * 20 : (number + 1) * 20]))
    return directory


@pytest.mark.contract("TRAIN-56", "TRAIN-57", "TRAIN-58")
def test_a_pipe_channel_is_read_or_refused_by_name(make_job: MakeJob, parts: Path) -> None:
    channel = Channel("train", parts, "text/csv", input_mode="Pipe")
    result = execute(plan(make_job(name="pipe", channels=(channel,))))
    assert completed_or_named(result, "train", "Pipe"), told(result)


@pytest.mark.contract("TRAIN-59")
def test_a_pipe_channel_of_records_is_read_or_refused_by_name(make_job: MakeJob, parts: Path) -> None:
    channel = Channel("train", parts, "text/csv", input_mode="Pipe", record_wrapper="RecordIO")
    result = execute(plan(make_job(name="records", channels=(channel,))))
    assert completed_or_named(result, "train", "Pipe", "RecordIO"), told(result)


@pytest.mark.contract("TRAIN-60")
def test_an_augmented_manifest_is_read_or_refused_by_name(make_job: MakeJob, tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    lines = [json.dumps({"source-ref": "image.png", "label": number % 2}) for number in range(20)]
    (tmp_path / "rows.manifest").write_text("\n".join(lines) + "\n")
    channel = Channel(
        "train",
        tmp_path / "rows.manifest",
        "application/x-recordio",
        input_mode="Pipe",
        record_wrapper="RecordIO",
        attribute_names=("source-ref", "label"),
    )
    result = execute(plan(make_job(name="augmented", channels=(channel,))))
    assert completed_or_named(result, "train"), told(result)


@pytest.mark.contract("TRAIN-42", "TRAIN-43", "TRAIN-50", "TRAIN-74")
def test_two_hosts_whose_names_come_late_leave_one_model(make_job: MakeJob, parts: Path) -> None:
    channel = Channel("train", parts, "text/csv", distribution="ShardedByS3Key")
    result = execute(plan(make_job(name="two-hosts", channels=(channel,), hosts=2, late_names=2.0)))
    assert completed_or_named(result, "train"), told(result)
    if result.status == "Completed":
        models = [any((base / "model").iterdir()) for base in result.host_dirs.values()]
        assert models == [True, False]
        assert result.model


@pytest.mark.contract("TRAIN-39", "TRAIN-45", "TRAIN-46")
@pytest.mark.needs("table")
def test_a_channel_of_one_instance_group_does_not_disturb_the_other(make_job: MakeJob, data: Path) -> None:
    groups = (InstanceGroup("big", "ml.m5.large", 1), InstanceGroup("small", "ml.c5.large", 1))
    channels = (
        Channel("train", data / "train", "text/csv"),
        Channel("validation", data / "validation", "text/csv", instance_groups=("small",)),
    )
    result = execute(plan(make_job(name="groups", channels=channels, instance_groups=groups)))
    assert result.status == "Completed", told(result)
