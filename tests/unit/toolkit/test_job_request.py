"""A job in the API's terms; botocore's own model of the API is the judge."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from toolkit.errors import ToolkitError
from toolkit.jobs.job_request import from_request, request
from toolkit.jobs.job_result import Course, JobResult
from toolkit.jobs.training_job import Channel, InstanceGroup, TrainingJob, plan

IMAGE = "opt-ml/ensemble-cpu:latest"
MODEL = botocore.session.get_session().get_service_model("sagemaker")


def faults(document: dict[str, Any], shape: str) -> str:
    return str(ParamValidator().validate(document, MODEL.shape_for(shape)).generate_report())


@pytest.fixture
def jobs(tmp_path: Path) -> dict[str, TrainingJob]:
    (tmp_path / "lines").write_text('{"a": 1}\n')
    channels = (
        Channel("train", tmp_path, "text/csv", instance_groups=("big",), shuffle_seed=3),
        Channel(
            "lines", tmp_path / "lines", input_mode="Pipe", record_wrapper="RecordIO", attribute_names=("a",)
        ),
    )
    return {
        "least": TrainingJob(IMAGE, name="least"),
        "most": TrainingJob(
            IMAGE,
            channels,
            {"eta": "0.1"},
            {"MODE": "fast"},
            name="most",
            isolated=True,
            instance_groups=(
                InstanceGroup("big", "ml.m5.4xlarge", 1),
                InstanceGroup("small", "ml.m5.large", 3),
            ),
            input_mode="FastFile",
            entrypoint=("/bin/bash",),
            arguments=("-c", "true"),
            checkpoint_dir=tmp_path,
            checkpoint_path="/opt/ml/elsewhere",
            max_run=90.5,
            spot_interrupt_after=(5.0,),
            compress=False,
            metrics={"loss": "loss=([0-9.]+)"},
        ),
        "pool": TrainingJob(IMAGE, name="pool", warm_pool_dir=tmp_path, hosts=2),
    }


@pytest.mark.parametrize("name", ["least", "most", "pool"])
def test_the_request_is_one_that_the_api_takes(name: str, jobs: dict[str, TrainingJob]) -> None:
    assert faults(request(jobs[name]), "CreateTrainingJobRequest") == ""


@pytest.mark.parametrize("name", ["least", "most"])
def test_a_request_that_is_read_describes_the_same_job(
    name: str, jobs: dict[str, TrainingJob], tmp_path: Path
) -> None:
    made = request(jobs[name])
    (tmp_path / "request.json").write_text(json.dumps(made))
    sources = {channel.name: Channel(channel.name, channel.source) for channel in jobs[name].channels}
    again = request(from_request(tmp_path / "request.json", IMAGE, sources))
    # What only this machine plays is not part of a request: interruptions, and where checkpoints lie.
    only_here = {"CheckpointConfig", "EnableManagedSpotTraining", "StoppingCondition"}
    assert {key: value for key, value in again.items() if key not in only_here} == {
        key: value for key, value in made.items() if key not in only_here
    }
    assert (
        again["StoppingCondition"]["MaxRuntimeInSeconds"] == made["StoppingCondition"]["MaxRuntimeInSeconds"]
    )


def test_what_a_channel_of_the_caller_says_replaces_the_request(
    jobs: dict[str, TrainingJob], tmp_path: Path
) -> None:
    (tmp_path / "request.json").write_text(json.dumps(request(jobs["most"])))
    sources = {
        "train": Channel("train", tmp_path, content_type="text/plain"),
        "lines": Channel("lines", tmp_path / "lines"),
    }
    train, lines = from_request(tmp_path / "request.json", IMAGE, sources).channels
    assert (train.content_type, train.shuffle_seed) == ("text/plain", 3)
    assert (lines.input_mode, lines.attribute_names) == ("Pipe", ("a",))


@pytest.mark.parametrize(
    ("sources", "words"),
    [({}, "--channel train=PATH"), ({"train": 1, "lines": 1, "odd": 1}, "no channel odd")],
)
def test_channels_and_files_must_be_the_same(
    sources: dict[str, int], words: str, jobs: dict[str, TrainingJob], tmp_path: Path
) -> None:
    (tmp_path / "request.json").write_text(json.dumps(request(jobs["most"])))
    with pytest.raises(ToolkitError, match=words):
        from_request(tmp_path / "request.json", IMAGE, {name: Channel(name, tmp_path) for name in sources})


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"AlgorithmSpecification": 1, "ResourceConfig": {}}'])
def test_what_is_no_request_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text(text)
    with pytest.raises(ToolkitError, match=r"request\.json"):
        from_request(tmp_path / "request.json", IMAGE, {})


def test_a_request_that_is_not_there_is_told_from_one_that_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match=r"request\.json cannot be read: No such file or directory\.$"):
        from_request(tmp_path / "request.json", IMAGE, {})
    (tmp_path / "request.json").write_text("# Title")
    with pytest.raises(ToolkitError, match=r"request\.json is not JSON: "):
        from_request(tmp_path / "request.json", IMAGE, {})


def test_a_mistyped_key_of_a_request_is_named_with_its_nearest(tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text(
        '{"TrainingJobName": "a", "TrainingJobArn": "", "HyperParams": {}}'
    )
    with pytest.raises(ToolkitError, match=r"HyperParams(.|\n)*Did you mean HyperParameters\?"):
        from_request(tmp_path / "request.json", IMAGE, {})


def test_no_key_that_the_api_knows_is_taken_for_a_misprint(tmp_path: Path) -> None:
    known = set(MODEL.shape_for("CreateTrainingJobRequest").members)
    known |= set(MODEL.shape_for("DescribeTrainingJobResponse").members)
    for key in known:
        (tmp_path / "request.json").write_text(json.dumps({"TrainingJobName": "a", key: None}))
        with pytest.raises(ToolkitError, match="is no CreateTrainingJob request"):
            from_request(tmp_path / "request.json", IMAGE, {})


def test_the_result_has_the_fields_of_the_apis_answer(jobs: dict[str, TrainingJob], tmp_path: Path) -> None:
    course = Course()
    for status in ("Starting", "Training", "Interrupted", "Training", "Uploading"):
        course.enter(status, status)
    course.finish("Failed", "failed")
    result = JobResult(
        job=jobs["most"],
        status="Failed",
        secondary_status="Failed",
        exit_code=1,
        exit_codes={"algo-1": 1},
        failure_reason="No rows.",
        failed_host="algo-1",
        metrics={"loss": 0.5},
        model=None,
        output=None,
        log=tmp_path / "log.txt",
        host_dirs={"algo-1": tmp_path},
        duration=2.5,
        transitions=tuple(course.transitions),
    )
    document = json.loads(result.as_json())
    local = document.pop("Local")
    assert local["ExitCodes"] == {"algo-1": 1}
    with_times = json.loads(
        json.dumps(document),
        object_hook=lambda item: {key: as_time(key, value) for key, value in item.items()},
    )
    assert faults(with_times, "DescribeTrainingJobResponse") == ""
    known = set(MODEL.shape_for("DescribeTrainingJobResponse").members)
    assert set(document) <= known


def as_time(key: str, value: Any) -> Any:
    """The API's answer has times where JSON has text."""
    return datetime.fromisoformat(value) if key.endswith("Time") or key == "Timestamp" else value


def test_a_dry_run_as_json_holds_request_files_and_commands() -> None:
    document = json.loads(plan(TrainingJob(IMAGE, name="a-job", hosts=2)).as_json())
    assert faults(document["CreateTrainingJob"], "CreateTrainingJobRequest") == ""
    assert "algo-2/input/config/resourceconfig.json" in document["Files"]
    network, *containers = document["Commands"]
    assert network.startswith("docker network create opt-ml-a-job-")
    assert [f"--network-alias=algo-{number}" in line for number, line in enumerate(containers, 1)] == [
        True
    ] * 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"HyperParameters": {"eta": 1}}, "eta in HyperParameters is 1, which is no text"),
        ({"Environment": {"A": True}}, "A in Environment is true"),
        ({"ResourceConfig": {"InstanceCount": "2"}}, 'InstanceCount is "2", which is no whole number'),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": "7"}}, "MaxRuntimeInSeconds"),
        (
            {"AlgorithmSpecification": {"TrainingInputMode": "File", "ContainerEntrypoint": "sh"}},
            'ContainerEntrypoint is "sh", which is no list',
        ),
        ({"AlgorithmSpecification": {}}, "it has no TrainingInputMode"),
    ],
)
def test_a_value_of_another_type_is_named(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    path.write_text(json.dumps({**request(TrainingJob(IMAGE, name="a-job")), **changes}))
    with pytest.raises(ToolkitError) as caught:
        from_request(path, IMAGE, {})
    assert words in str(caught.value)
