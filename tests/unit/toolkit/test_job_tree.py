"""The job's directory before the containers start: no Docker, no leftovers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from toolkit.errors import ToolkitError
from toolkit.jobs import job_tree
from toolkit.jobs.training_job import SHARES, Channel, Plan, TrainingJob, plan


def job(tmp_path: Path, *channels: Channel, **changes: Any) -> Plan:
    return plan(TrainingJob("x", channels, name="a-job", jobs_dir=tmp_path / "jobs", **changes))


def test_a_shard_behind_a_relative_link_is_the_file_itself(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.csv").write_text("rows")
    (data / "b.csv").symlink_to("a.csv")
    sharded = job(tmp_path, Channel("train", data, distribution="ShardedByS3Key"), hosts=2)
    job_tree.make(sharded)
    found = sharded.directory / SHARES / "algo-2" / "train" / "b.csv"
    assert not found.is_symlink()
    assert found.read_text() == "rows"


@pytest.mark.parametrize("attribute", ["checkpoint_dir", "warm_pool_dir"])
def test_a_directory_that_cannot_be_made_is_named_and_nothing_is_left(attribute: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    broken = job(tmp_path, **{attribute: tmp_path / "file" / "below"})
    with pytest.raises(ToolkitError, match=r"file/below.*: Not a directory"):
        job_tree.make(broken)
    assert not broken.directory.exists()
