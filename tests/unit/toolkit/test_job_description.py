"""A training job described and planned; nothing is run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from toolkit.errors import ToolkitError
from toolkit.jobs.training_job import Channel, Plan, TrainingJob, plan

IMAGE = "opt-ml/ensemble-cpu:latest"


def config(made: Plan, name: str) -> Any:
    return json.loads(made.files[f"algo-1/input/config/{name}.json"])


def refusal(**changes: Any) -> str:
    with pytest.raises(ToolkitError) as caught:
        plan(TrainingJob(IMAGE, **{"name": "a-job", **changes}))
    return str(caught.value)


@pytest.mark.contract("TRAIN-30")
def test_hyperparameters_are_passed_on_as_text() -> None:
    made = plan(TrainingJob(IMAGE, hyperparameters={"eta": "0.1", "objective": '"binary"'}))
    assert config(made, "hyperparameters") == {"eta": "0.1", "objective": '"binary"'}


@pytest.mark.contract("TRAIN-34")
def test_a_channel_has_a_content_type_only_where_the_job_gives_one(tmp_path: Path) -> None:
    channels = (Channel("train", tmp_path, "text/csv"), Channel("validation", tmp_path))
    assert config(plan(TrainingJob(IMAGE, channels)), "inputdataconfig") == {
        "train": {
            "ContentType": "text/csv",
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        },
        "validation": {
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        },
    }


@pytest.mark.contract("TRAIN-36")
def test_a_job_may_have_no_channel_and_no_hyperparameter() -> None:
    made = plan(TrainingJob(IMAGE))
    assert config(made, "inputdataconfig") == config(made, "hyperparameters") == {}


@pytest.mark.contract("TRAIN-38", "TRAIN-39")
def test_resources_are_written_as_real_jobs_have_them() -> None:
    resources = config(plan(TrainingJob(IMAGE)), "resourceconfig")
    assert resources["hosts"] == ["algo-1"]
    assert resources["current_host"] == "algo-1"
    assert resources["network_interface_name"] == "eth0"
    assert resources["current_group_name"] == "homogeneousCluster"
    assert resources["instance_groups"] == [
        {
            "instance_group_name": "homogeneousCluster",
            "instance_type": resources["current_instance_type"],
            "hosts": ["algo-1"],
        }
    ]
    assert resources["topology"] is None


@pytest.mark.contract("TRAIN-47")
def test_files_that_real_jobs_also_have_are_written() -> None:
    names = {Path(path).name for path in plan(TrainingJob(IMAGE)).files}
    assert {"init-config.json", "trainingjobconfig.json", "metric-definition-regex.json"} <= names


def test_channels_are_mounted_read_only_and_not_copied(tmp_path: Path) -> None:
    made = plan(TrainingJob(IMAGE, (Channel("train", tmp_path),)))
    (bind,) = (bind for bind in made.run.binds if bind.target == "/opt/ml/input/data/train")
    assert bind.source == tmp_path.resolve()
    assert bind.read_only


@pytest.mark.contract("TRAIN-52")
def test_a_single_file_is_alone_in_its_channel(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1")
    made = plan(TrainingJob(IMAGE, (Channel("train", tmp_path / "a.csv"),)))
    assert [bind.target for bind in made.run.binds if bind.read_only] == ["/opt/ml/input/data/train/a.csv"]


@pytest.mark.contract("TRAIN-16")
def test_the_images_own_code_directory_is_not_hidden() -> None:
    targets = [bind.target for bind in plan(TrainingJob(IMAGE)).run.binds]
    assert targets == ["/opt/ml/input", "/opt/ml/model", "/opt/ml/output"]


@pytest.mark.contract("TRAIN-20", "TRAIN-23")
def test_the_platforms_variables_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    environment = plan(TrainingJob(IMAGE, name="a-job", environment={"MINE": "x"})).run.environment
    assert environment == {
        "TRAINING_JOB_NAME": "a-job",
        "TRAINING_JOB_ARN": "arn:aws:sagemaker:eu-west-1:000000000000:training-job/a-job",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "MINE": "x",
    }


@pytest.mark.contract("TRAIN-24")
def test_an_isolated_job_has_no_network_and_no_region() -> None:
    run = plan(TrainingJob(IMAGE, name="a-job", isolated=True)).run
    assert run.network == "none"
    assert not run.aliases
    assert run.own_names == ("algo-1",)
    assert set(run.environment) == {"TRAINING_JOB_NAME", "TRAINING_JOB_ARN"}


@pytest.mark.contract("TRAIN-42")
def test_the_host_is_found_by_its_alias_on_a_network_of_the_job() -> None:
    run = plan(TrainingJob(IMAGE, name="a-job")).run
    assert run.aliases == ("algo-1",)
    assert run.network.startswith("opt-ml-a-job-")
    assert run.hostname is None


def test_two_jobs_of_one_name_do_not_share_a_network() -> None:
    first, second = (plan(TrainingJob(IMAGE, name="a-job")).run.network for _ in range(2))
    assert first != second


@pytest.mark.contract("TRAIN-82")
def test_shared_memory_is_half_of_the_memory() -> None:
    assert plan(TrainingJob(IMAGE, memory=8 * 2**30)).run.shm_size == 4 * 2**30


def test_planning_writes_nothing(tmp_path: Path) -> None:
    plan(TrainingJob(IMAGE, jobs_dir=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_shows_each_file_and_the_docker_line(tmp_path: Path) -> None:
    made = plan(
        TrainingJob(IMAGE, (Channel("train", tmp_path),), {"eta": "0.1"}, {"NOTE": "two words"}, name="a-job")
    )
    text = made.describe()
    assert "algo-1/input/config/hyperparameters.json" in text
    assert '"eta": "0.1"' in text
    *_, network, line = text.splitlines()
    assert network == f"docker network create {made.run.network}"
    assert line.startswith(f"docker run --rm --network {made.run.network} --network-alias=algo-1")
    assert "-e 'NOTE=two words'" in line
    assert f"-v {tmp_path}:/opt/ml/input/data/train:ro" in line
    assert line.endswith(f"{IMAGE} train")


def test_the_default_name_is_made_of_the_image_and_is_a_job_name() -> None:
    name = plan(TrainingJob("registry:5000/team/My_Model.v2:latest")).job.name
    assert name.startswith("My-Model-v2-20")
    assert len(name) <= 63


def test_a_channel_that_is_not_there_is_named() -> None:
    assert "Channel train: no/such does not exist" in refusal(channels=(Channel("train", Path("no/such")),))


@pytest.mark.contract("TRAIN-37")
@pytest.mark.parametrize("name", ["a b", "", "x" * 65, "..", "a/b"])
def test_a_channel_name_that_the_platform_refuses_is_refused(name: str, tmp_path: Path) -> None:
    assert "channel name" in refusal(channels=(Channel(name, tmp_path),))


@pytest.mark.contract("TRAIN-37")
def test_dots_and_hyphens_are_legal_in_channel_names(tmp_path: Path) -> None:
    assert "a.b-c_d" in config(plan(TrainingJob(IMAGE, (Channel("a.b-c_d", tmp_path),))), "inputdataconfig")


@pytest.mark.contract("TRAIN-37")
def test_more_than_twenty_channels_are_refused(tmp_path: Path) -> None:
    assert "20" in refusal(channels=tuple(Channel(f"c{number}", tmp_path) for number in range(21)))


def test_a_channel_given_twice_is_refused(tmp_path: Path) -> None:
    assert "train is given twice" in refusal(
        channels=(Channel("train", tmp_path), Channel("train", tmp_path))
    )


def test_a_link_out_of_a_channel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside.csv").write_text("1")
    (tmp_path / "inside" / "link.csv").symlink_to("../outside.csv")
    assert "link.csv is a symbolic link out of" in refusal(channels=(Channel("train", tmp_path / "inside"),))


@pytest.mark.contract("TRAIN-33")
@pytest.mark.parametrize("hyperparameters", [{"k" * 257: "1"}, {"k": "v" * 2501}, {"": "1"}])
def test_a_hyperparameter_that_is_too_long_is_refused(hyperparameters: dict[str, str]) -> None:
    assert "256" in refusal(hyperparameters=hyperparameters)


@pytest.mark.contract("TRAIN-22", "TRAIN-33")
@pytest.mark.parametrize("attribute", ["hyperparameters", "environment"])
def test_more_than_a_hundred_entries_are_refused(attribute: str) -> None:
    assert "100" in refusal(**{attribute: {f"k{number}": "1" for number in range(101)}})


@pytest.mark.contract("TRAIN-22")
@pytest.mark.parametrize("environment", [{"MY-NAME": "1"}, {"1ST": "1"}, {"NAME": "v" * 513}])
def test_an_environment_that_the_platform_refuses_is_refused(environment: dict[str, str]) -> None:
    assert "Environment variable" in refusal(environment=environment)


@pytest.mark.parametrize("name", ["-a", "a-", "a_b", "a" * 64, "a/b"])
def test_a_job_name_that_the_platform_refuses_is_refused(name: str) -> None:
    assert "job name" in refusal(name=name)
