"""model.tar.gz packed and unpacked."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from toolkit.artifacts import gather, lay_out, model_directory, newest_model, pack, readable_size
from toolkit.errors import ToolkitError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    (directory / "trees").mkdir(parents=True)
    (directory / "model.json").write_text("{}")
    (directory / "trees" / "one.ubj").write_bytes(b"\0\1")
    return directory


@pytest.mark.contract("TRAIN-70", "HOST-20")
def test_a_packed_model_is_unpacked_as_it_was(model: Path, tmp_path: Path) -> None:
    assert pack(model, tmp_path / "model.tar.gz") == []
    with model_directory(tmp_path / "model.tar.gz") as directory:
        found = {path.relative_to(directory).as_posix() for path in directory.rglob("*")}
        assert found == {"model.json", "trees", "trees/one.ubj"}
        assert (directory / "trees" / "one.ubj").read_bytes() == b"\0\1"
    assert not directory.exists()


@pytest.mark.contract("HOST-28")
def test_an_unpacked_model_can_be_read_by_all_and_written_by_none(model: Path, tmp_path: Path) -> None:
    (model / "model.json").chmod(0o600)
    pack(model, tmp_path / "model.tar.gz")
    with model_directory(tmp_path / "model.tar.gz") as directory:
        assert {oct(path.stat().st_mode & 0o777) for path in directory.rglob("*") if path.is_file()} == {
            "0o444"
        }
        assert {oct(path.stat().st_mode & 0o777) for path in (directory, directory / "trees")} == {"0o555"}


def test_nothing_is_packed_where_nothing_was_left(tmp_path: Path) -> None:
    (tmp_path / "model" / "empty").mkdir(parents=True)
    assert pack(tmp_path / "model", tmp_path / "model.tar.gz") == []
    assert not (tmp_path / "model.tar.gz").exists()


@pytest.mark.contract("TRAIN-72", "HOST-23")
def test_a_symbolic_link_is_left_out_and_named(model: Path, tmp_path: Path) -> None:
    (model / "latest").symlink_to("model.json")
    (warning,) = pack(model, tmp_path / "model.tar.gz")
    assert "latest is a symbolic link" in warning
    with tarfile.open(tmp_path / "model.tar.gz") as tar:
        assert "latest" not in tar.getnames()


@pytest.mark.contract("TRAIN-72", "HOST-23")
def test_a_hard_link_is_packed_as_the_file_it_is(model: Path, tmp_path: Path) -> None:
    os.link(model / "model.json", model / "twin.json")
    assert pack(model, tmp_path / "model.tar.gz") == []
    with tarfile.open(tmp_path / "model.tar.gz") as tar:
        assert {tar.getmember(name).isreg() for name in ("model.json", "twin.json")} == {True}


def archive_of(path: Path, member: tarfile.TarInfo, content: bytes = b"") -> Path:
    member.size = len(content)
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.contract("HOST-23")
def test_a_model_with_a_link_is_refused(tmp_path: Path) -> None:
    link = tarfile.TarInfo("latest")
    link.type, link.linkname = tarfile.SYMTYPE, "model.json"
    archive = archive_of(tmp_path / "model.tar.gz", link)
    with pytest.raises(ToolkitError, match="latest is a link"), model_directory(archive):
        pass


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside"])
def test_no_member_is_written_outside_of_the_directory(name: str, tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "model.tar.gz", tarfile.TarInfo(name), b"1")
    with pytest.raises(ToolkitError, match="lies outside of the model"), model_directory(archive):
        pass


def test_a_special_file_is_refused(tmp_path: Path) -> None:
    pipe = tarfile.TarInfo("pipe")
    pipe.type = tarfile.FIFOTYPE
    archive = archive_of(tmp_path / "model.tar.gz", pipe)
    with pytest.raises(ToolkitError, match="pipe is a special file"), model_directory(archive):
        pass


def test_an_archive_that_was_cut_off_is_named(tmp_path: Path) -> None:
    whole = archive_of(tmp_path / "whole.tar.gz", tarfile.TarInfo("weights"), os.urandom(200_000))
    (tmp_path / "model.tar.gz").write_bytes(whole.read_bytes()[:100_000])
    with (
        pytest.raises(ToolkitError, match=r"model\.tar\.gz cannot be unpacked"),
        model_directory(tmp_path / "model.tar.gz"),
    ):
        pass


@pytest.mark.parametrize("content", [b"", b"not an archive", b"\x1f\x8b\x08\x00 cut"])
def test_what_is_no_archive_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.tar.gz").write_bytes(content)
    with (
        pytest.raises(ToolkitError, match=r"model\.tar\.gz cannot be unpacked"),
        model_directory(tmp_path / "model.tar.gz"),
    ):
        pass


def test_a_directory_is_mounted_as_it_is(model: Path) -> None:
    with model_directory(model) as directory:
        assert directory == model.resolve()
    assert model.exists()


def record(
    jobs: Path, name: str, image: str, status: str, when: int, model: str = "jobs/there/model.tar.gz"
) -> None:
    (jobs / name).mkdir(parents=True)
    result = {
        "AlgorithmSpecification": {"TrainingImage": image},
        "TrainingJobStatus": status,
        "ModelArtifacts": {"S3ModelArtifacts": model if status == "Completed" else ""},
    }
    (jobs / name / "result.json").write_text(json.dumps(result))
    os.utime(jobs / name / "result.json", (when, when))


def test_the_newest_completed_job_of_the_image_has_the_model(tmp_path: Path) -> None:
    record(tmp_path, "old", "mine", "Completed", 1)
    record(tmp_path, "new", "mine", "Completed", 2)
    record(tmp_path, "failed", "mine", "Failed", 3)
    record(tmp_path, "other", "other", "Completed", 4)
    assert newest_model(tmp_path, "mine") == tmp_path / "new" / "model.tar.gz"


def tuned(jobs: Path, name: str, best: dict[str, Any] | None, when: int) -> Path:
    """A tuning job as `toolkit.tuning_jobs.tuning_record` writes it down."""
    document: dict[str, Any] = {
        "TrainingJobDefinition": {"AlgorithmSpecification": {"TrainingImage": "mine"}}
    }
    if best:
        document["BestTrainingJob"] = best
    (jobs / name).mkdir(parents=True)
    (jobs / name / "tuning.json").write_text(json.dumps(document))
    os.utime(jobs / name / "tuning.json", (when, when))
    return jobs / name


def test_of_a_tuning_job_the_best_model_is_the_one(model: Path, tmp_path: Path) -> None:
    record(tmp_path, "old", "mine", "Completed", 1)
    best = {
        "TrainingJobName": "t-002",
        "TrainingJobStatus": "Completed",
        "ModelArtifacts": {"S3ModelArtifacts": "jobs/t/t-002/model.tar.gz"},
    }
    directory = tuned(tmp_path, "t", best, 2)
    tuned(tmp_path, "nothing", None, 3)
    assert newest_model(tmp_path, "mine") == directory / "t-002" / "model.tar.gz"
    (directory / "t-002").mkdir()
    pack(model, directory / "t-002" / "model.tar.gz")
    with model_directory(directory) as mounted:
        assert (mounted / "model.json").read_text() == "{}"


def test_a_tuning_job_without_a_model_is_not_served(tmp_path: Path) -> None:
    directory = tuned(tmp_path, "t", None, 1)
    with pytest.raises(ToolkitError, match="no training job with a model"), model_directory(directory):
        pass


def test_a_record_that_cannot_be_read_hides_no_other_job(tmp_path: Path) -> None:
    record(tmp_path, "good", "mine", "Completed", 1)
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "result.json").write_text('{"image": "mi')
    assert newest_model(tmp_path, "mine") == tmp_path / "good" / "model.tar.gz"


def test_the_directory_of_a_job_stands_for_its_model(model: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    job.mkdir()
    pack(model, job / "model.tar.gz")
    (job / "result.json").write_text("{}")
    with model_directory(job) as directory:
        assert (directory / "model.json").read_text() == "{}"


def test_no_completed_job_is_an_error_with_the_cure(tmp_path: Path) -> None:
    record(tmp_path, "failed", "mine", "Failed", 3)
    with pytest.raises(ToolkitError, match="--model"):
        newest_model(tmp_path, "mine")


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1200, "1.2 kB"), (1_240_000, "1.2 MB"), (2.5e9, "2.5 GB")],
)
def test_sizes_are_written_for_people(size: int, text: str) -> None:
    assert readable_size(size) == text


@pytest.mark.contract("TRAIN-74")
def test_of_a_name_on_two_hosts_the_first_hosts_stays_and_the_clash_is_told(tmp_path: Path) -> None:
    hosts = {host: tmp_path / host for host in ("algo-1", "algo-2")}
    for host, directory in hosts.items():
        (directory / "common").mkdir(parents=True)
        (directory / "common" / host).write_text(host)
        (directory / "model.json").write_text(host)
    (hosts["algo-1"] / "either").write_text("a file")
    (hosts["algo-2"] / "either").mkdir()
    (hosts["algo-2"] / "either" / "part").touch()
    found, (warning,) = gather(hosts, "model.tar.gz")
    assert list(found) == ["common", "common/algo-1", "common/algo-2", "either", "model.json"]
    assert found["model.json"].read_text() == "algo-1"
    for clash in ("model.json of algo-2", "either of algo-2", "either/part of algo-2"):
        assert clash in warning


@pytest.mark.contract("TRAIN-71")
def test_a_model_that_was_not_compressed_is_found_and_served_as_it_is(model: Path, tmp_path: Path) -> None:
    job = tmp_path / "jobs" / "new"
    record(tmp_path / "jobs", "new", "mine", "Completed", 1, model="jobs/new/model")
    assert lay_out({"algo-1": model}, job / "model") == []
    assert newest_model(tmp_path / "jobs", "mine") == job / "model"
    with model_directory(job) as directory:
        assert (directory / "trees" / "one.ubj").read_bytes() == b"\0\1"
