"""What SageMaker does to a training container, as the plan of a job has it; nothing is run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from toolkit.errors import ToolkitError
from toolkit.jobs.training_job import Channel, Plan, TrainingJob, plan

JOB = TrainingJob("any/image:latest", name="a-job")


def planned(**changes: Any) -> Plan:
    return plan(replace(JOB, **changes))


def targets(made: Plan) -> dict[str, Path]:
    return {bind.target: bind.source for bind in made.run.binds}


@pytest.mark.contract("TRAIN-01", "TRAIN-06", "TRAIN-07", "TRAIN-08")
@pytest.mark.parametrize(
    ("entrypoint", "arguments", "command"),
    [
        (None, None, ("train",)),
        (("python3", "a.py"), None, ()),
        (None, ("python3", "a.py"), ("python3", "a.py")),
        (("python3",), ("a.py", "-x"), ("a.py", "-x")),
    ],
)
def test_an_entrypoint_takes_the_place_of_the_images_and_arguments_that_of_train(
    entrypoint: tuple[str, ...] | None, arguments: tuple[str, ...] | None, command: tuple[str, ...]
) -> None:
    run = planned(entrypoint=entrypoint, arguments=arguments).run
    assert (run.entrypoint, run.command) == (entrypoint, command)


@pytest.mark.contract("TRAIN-09")
@pytest.mark.parametrize("words", [(), ("x",) * 101, ("x" * 257,)])
def test_words_that_the_api_refuses_are_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(ToolkitError, match="1 to 100 words of at most 256 characters"):
        planned(entrypoint=words)
    with pytest.raises(ToolkitError, match="1 to 100 words of at most 256 characters"):
        planned(arguments=words)
    planned(entrypoint=("x" * 256,) * 100, arguments=("x",))


@pytest.mark.contract("TRAIN-11")
def test_the_container_gets_no_privilege_and_no_device() -> None:
    line = planned().run.command_line()
    assert not [word for word in ("--privileged", "--cap-add", "--device", "--security-opt") if word in line]


@pytest.mark.contract("TRAIN-20", "TRAIN-21", "TRAIN-23", "TRAIN-26")
def test_the_environment_is_the_platforms_and_the_jobs_and_nothing_of_a_toolkit() -> None:
    environment = planned(environment={"MINE": "a b=$c"}).run.environment
    assert environment["MINE"] == "a b=$c"
    assert set(environment) == {
        *("TRAINING_JOB_NAME", "TRAINING_JOB_ARN", "AWS_REGION", "AWS_DEFAULT_REGION", "MINE")
    }
    assert environment["TRAINING_JOB_ARN"].endswith(":training-job/a-job")


@pytest.mark.contract("TRAIN-25")
def test_a_warm_pool_has_a_directory_that_outlives_the_job(tmp_path: Path) -> None:
    made = planned(warm_pool_dir=tmp_path)
    inside = made.run.environment["SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY"]
    assert inside == "/opt/ml/sagemaker/warmpoolcache"
    assert targets(made)[inside].is_relative_to(tmp_path)


@pytest.mark.contract("TRAIN-47", "TRAIN-49", "TRAIN-90", "TRAIN-91")
@pytest.mark.parametrize("path", ["/opt/ml/checkpoints", "/elsewhere/kept"])
def test_checkpoints_lie_where_the_job_wants_them_and_are_configured(path: str, tmp_path: Path) -> None:
    made = planned(checkpoint_dir=tmp_path, checkpoint_path=path)
    config = json.loads(made.files["algo-1/input/config/checkpointconfig.json"])
    assert set(config) == {"S3Uri", "LocalPath"}
    assert config["LocalPath"] == path
    assert targets(made)[path] == tmp_path
    assert "algo-1/input/config/checkpointconfig.json" not in planned().files


@pytest.mark.contract("TRAIN-54", "TRAIN-55", "TRAIN-62", "TRAIN-65")
@pytest.mark.parametrize(
    ("mode", "access", "read_only"), [("File", "ro", True), ("FastFile", "ro", True), ("File", "rw", False)]
)
def test_a_channel_is_read_only_unless_it_is_a_file_system_to_write_to(
    mode: str, access: str, read_only: bool, tmp_path: Path
) -> None:
    made = planned(channels=(Channel("train", tmp_path, input_mode=mode, access=access),))
    (bind,) = [bind for bind in made.run.binds if bind.target == "/opt/ml/input/data/train"]
    assert bind.read_only is read_only
