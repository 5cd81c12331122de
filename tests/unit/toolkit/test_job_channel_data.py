"""Which objects a channel has, who gets them, and what Pipe mode makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import ToolkitError
from toolkit.jobs import checkpoint_sync, pipe_mode
from toolkit.jobs.channel_data import objects, share
from toolkit.jobs.checkpoint_sync import CheckpointSync
from toolkit.jobs.pipe_mode import PipeSource
from toolkit.jobs.training_job import Channel, TrainingJob, plan

CHANNEL = Channel("train", Path("data"))


@pytest.mark.contract("TRAIN-50", "TRAIN-61")
@given(
    count=st.integers(0, 40),
    host_count=st.integers(1, 12),
    seed=st.none() | st.integers(0, 9),
    epoch=st.integers(0, 3),
)
def test_shards_are_disjoint_even_and_together_all(
    count: int, host_count: int, seed: int | None, epoch: int
) -> None:
    channel = Channel("train", Path("data"), distribution="ShardedByS3Key", shuffle_seed=seed)
    hosts = sorted(f"algo-{number + 1}" for number in range(host_count))
    shares = [share(range(count), channel, hosts, host, epoch) for host in hosts]
    assert sorted(item for part in shares for item in part) == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_replicated_channel_is_whole_on_each_host() -> None:
    assert share("abc", CHANNEL, ["algo-1", "algo-2"], "algo-2") == list("abc")


def test_keys_are_sorted_by_their_bytes_as_s3_lists_them(tmp_path: Path) -> None:
    for key in ("é", "a/b", "a-b", "B", "a.b"):
        (tmp_path / key).parent.mkdir(exist_ok=True)
        (tmp_path / key).touch()
    assert list(objects(Channel("train", tmp_path))) == ["B", "a-b", "a.b", "a/b", "é"]


@pytest.mark.contract("TRAIN-59")
def test_an_object_too_long_for_a_record_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipe_mode, "_LONGEST_RECORD", 3)
    (tmp_path / "long").write_text("1234")
    source = PipeSource(Channel("train", tmp_path, record_wrapper="RecordIO"), ["algo-1"], "algo-1")
    with pytest.raises(ToolkitError, match="long has 4 bytes"):
        list(source.epoch(0))


@pytest.mark.contract("TRAIN-91")
def test_checkpoints_are_copied_out_and_deletions_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_sync, "INTERVAL", 3600)
    remote, host = tmp_path / "remote", tmp_path / "host"
    (remote / "deep").mkdir(parents=True)
    (remote / "deep" / "old").write_text("1")
    with CheckpointSync(remote, {"algo-1": host}) as sync:
        assert (host / "deep" / "old").read_text() == "1"
        (host / "deep" / "new").write_text("22")
        (host / "deep" / "old").unlink()
        (remote / "later").write_text("not for this host")
        sync.once()
        assert sorted(path.name for path in (remote / "deep").iterdir()) == ["new"]
        (host / "deep" / "new").write_text("333")
        sync.once()
    assert (remote / "deep" / "new").read_text() == "333"
    assert not (host / "later").exists()
    assert (remote / "later").exists()


@pytest.mark.contract("TRAIN-52")
def test_a_file_behind_a_link_keeps_the_name_that_it_was_given(tmp_path: Path) -> None:
    (tmp_path / "3f7a").write_text("1,2\n")
    (tmp_path / "rows.csv").symlink_to("3f7a")
    channel = Channel("train", tmp_path / "rows.csv")
    assert objects(channel) == {"rows.csv": tmp_path / "3f7a"}
    run = plan(TrainingJob("x", (channel,), name="a-job")).run
    assert [(bind.source.name, bind.target) for bind in run.binds][-1] == (
        "3f7a",
        "/opt/ml/input/data/train/rows.csv",
    )


def test_a_checkpoint_that_goes_where_another_host_has_made_a_file_of_its_directory_is_no_error(
    tmp_path: Path,
) -> None:
    remote, host = tmp_path / "remote", tmp_path / "algo-1"
    (remote / "step").mkdir(parents=True)
    (remote / "step" / "1").touch()
    with CheckpointSync(remote, {"algo-1": host}) as sync:
        (remote / "step" / "1").unlink()
        (remote / "step").rmdir()
        (remote / "step").touch()
        (host / "step" / "1").unlink()
        sync.once()
    assert (remote / "step").is_file()
