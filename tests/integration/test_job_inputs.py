"""What a container of the tiny image finds: its program, its channels, its configuration."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from toolkit.jobs.job import Channel, JobResult, TrainingJob, execute, plan

RunScript = Callable[..., JobResult]
Said = Callable[[JobResult], dict[str, list[str]]]

LIST = """
root = base / "input/data"
print(sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()))
"""
WRITE = """
def write(path):
    try:
        path.write_text("changed")
        path.chmod(0o755)
        print("written")
    except OSError as error:
        print(error.strerror)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    directory = tmp_path / "folder"
    (directory / "deep").mkdir(parents=True)
    for key in ("a.csv", "b.csv", "deep/c.csv"):
        (directory / key).write_text(key)
    return directory


@pytest.mark.contract("TRAIN-06", "TRAIN-08")
@pytest.mark.parametrize(
    ("arguments", "words"), [(None, "[]"), (("one", "two words"), "['one', 'two words']")]
)
def test_an_entrypoint_of_the_job_gets_its_arguments_and_no_word_train(
    arguments: tuple[str, ...] | None, words: str, run_script: RunScript, said: Said
) -> None:
    assert said(run_script("print(sys.argv[1:])", arguments=arguments))["algo-1"] == [words]


@pytest.mark.contract("TRAIN-07")
def test_arguments_alone_replace_the_word_train(tiny: str, tmp_path: Path, said: Said) -> None:
    job = TrainingJob(tiny, name="a-job", jobs_dir=tmp_path, arguments=("python3", "-c", "print('mine')"))
    assert said(execute(plan(job)))["algo-1"] == ["mine"]


@pytest.mark.contract("V3-01", "LOCAL-24")
def test_the_command_of_sdk_v3_runs_a_driver_that_a_channel_brings(
    tiny: str, tmp_path: Path, said: Said
) -> None:
    (tmp_path / "sm_drivers").mkdir()
    (tmp_path / "sm_drivers" / "sm_train.sh").write_text(
        "#!/bin/sh\necho driven > /opt/ml/input/sm_training.env\necho done\n"
    )
    drivers = "/opt/ml/input/data/sm_drivers/sm_train.sh"
    job = TrainingJob(
        tiny,
        (Channel("sm_drivers", tmp_path / "sm_drivers", access="copy"),),
        name="a-job",
        jobs_dir=tmp_path,
        entrypoint=("sh",),
        arguments=("-c", f"python3 -c 'import os; os.chmod(\"{drivers}\", 0o755)' && {drivers}"),
    )
    result = execute(plan(job))
    assert said(result)["algo-1"] == ["done"]
    assert (tmp_path / "sm_drivers" / "sm_train.sh").stat().st_mode & 0o111 == 0


@pytest.mark.contract("V3-40", "LOCAL-04")
def test_a_script_is_mounted_and_named_as_sdk_v2_does_it(run_script: RunScript, said: Said) -> None:
    result = run_script("print(json.dumps(config('hyperparameters')))", hyperparameters={"eta": "0.1"})
    found = json.loads(said(result)["algo-1"][0])
    assert found.pop("sagemaker_region").startswith('"')
    assert found == {
        "eta": "0.1",
        "sagemaker_program": '"main.py"',
        "sagemaker_submit_directory": '"/opt/ml/code"',
        "sagemaker_container_log_level": "20",
        "sagemaker_job_name": '"a-job"',
    }


@pytest.mark.contract("TRAIN-51", "TRAIN-54", "TRAIN-55", "TRAIN-65")
@pytest.mark.parametrize("mode", ["File", "FastFile"])
def test_a_channel_cannot_be_written_to(mode: str, run_script: RunScript, said: Said, folder: Path) -> None:
    result = run_script(
        LIST
        + WRITE
        + "print(config('inputdataconfig')['train']['TrainingInputMode'])\nwrite(root / 'train/a.csv')",
        channels=(Channel("train", folder),),
        input_mode=mode,
    )
    assert said(result)["algo-1"] == [
        "['train/a.csv', 'train/b.csv', 'train/deep/c.csv']",
        mode,
        "Read-only file system",
    ]


@pytest.mark.contract("TRAIN-65", "V3-06", "V3-07")
def test_a_copied_channel_and_the_input_directory_may_be_written_to(
    run_script: RunScript, said: Said, folder: Path
) -> None:
    result = run_script(
        LIST + WRITE + "write(root / 'train/a.csv')\nwrite(base / 'input/sm_training.env')",
        channels=(Channel("train", folder, access="copy"),),
    )
    assert said(result)["algo-1"][1:] == ["written", "written"]
    assert (folder / "a.csv").read_text() == "a.csv"


@pytest.mark.contract("TRAIN-62")
def test_a_file_system_mounted_rw_is_changed_itself(run_script: RunScript, folder: Path) -> None:
    run_script(
        WRITE + "write(base / 'input/data/train/a.csv')", channels=(Channel("train", folder, access="rw"),)
    )
    assert (folder / "a.csv").read_text() == "changed"


def test_what_a_container_writes_to_a_file_system_belongs_to_the_caller(
    run_script: RunScript, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() == 0:  # to root belongs all that a container writes
        os.chown(folder, 31415, 27182)
        monkeypatch.setattr(os, "geteuid", lambda: 31415)
    run_script("(base / 'input/data/train/new').touch()", channels=(Channel("train", folder, access="rw"),))
    assert (folder / "new").stat().st_uid == os.geteuid()


@pytest.mark.contract("TRAIN-53")
def test_a_manifest_lies_beside_the_files_that_it_lists(
    run_script: RunScript, said: Said, folder: Path
) -> None:
    (folder / "list.json").write_text('[{"prefix": "s3://bucket/folder/"}, "deep/c.csv", "a.csv"]')
    result = run_script(LIST, channels=(Channel("train", folder / "list.json", manifest=True),))
    assert said(result)["algo-1"] == ["['train-manifest', 'train/a.csv', 'train/deep/c.csv']"]


@pytest.mark.contract("TRAIN-52", "TRAIN-63")
def test_a_model_channel_holds_the_archive_as_it_is(run_script: RunScript, said: Said, folder: Path) -> None:
    archive = shutil.make_archive(str(folder / "model"), "gztar", folder, "deep")
    channel = Channel("model", Path(archive), "application/x-sagemaker-model")
    result = run_script(
        LIST + "print(config('inputdataconfig')['model']['ContentType'])", channels=(channel,)
    )
    assert said(result)["algo-1"] == ["['model/model.tar.gz']", "application/x-sagemaker-model"]


@pytest.mark.contract("TRAIN-11")
def test_containers_are_not_privileged(run_script: RunScript, said: Said) -> None:
    result = run_script("print(Path('/dev/fuse').exists(), Path('/dev/kmsg').exists())")
    assert said(result)["algo-1"] == ["False False"]


@pytest.mark.contract("TRAIN-80")
def test_the_platforms_own_output_directories_are_there(run_script: RunScript, said: Said) -> None:
    result = run_script("print(sorted(os.listdir(base / 'output')), os.listdir(base / 'output/metrics'))")
    assert said(result)["algo-1"] == ["['data', 'metrics'] ['sagemaker']"]


def test_a_channel_without_a_file_is_warned_about(
    run_script: RunScript, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    channels = (Channel("train", folder), Channel("test", tmp_path / "empty"))
    (warning,) = run_script("pass", channels=channels).warnings
    assert "Channel test" in warning
    assert "No S3 objects found" in warning
