"""A training job as a CreateTrainingJob request, and back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from toolkit.errors import ToolkitError
from toolkit.jobs.job_description import (
    DEFAULT_CHECKPOINT_PATH,
    DEFAULT_INSTANCE_TYPE,
    MAX_RUN,
    Channel,
    InstanceGroup,
    TrainingJob,
)
from toolkit.jobs.opt_ml_tree import checkpoint_uri, hyperparameters

ROLE = "arn:aws:iam::000000000000:role/opt-ml-local"  # a request must name one; nothing here uses it
VOLUME_GB = 30
_BUCKET = "s3://opt-ml-local"


def request(job: TrainingJob) -> dict[str, Any]:
    """The CreateTrainingJob request that would start the job, with made-up S3 addresses.

    Source: the API's CreateTrainingJobRequest (botocore 1.44.5).
    """
    document: dict[str, Any] = {
        "TrainingJobName": job.name,
        "HyperParameters": hyperparameters(job),
        "AlgorithmSpecification": _algorithm(job),
        "RoleArn": ROLE,
        "InputDataConfig": [_channel(job, channel) for channel in job.channels],
        "OutputDataConfig": {
            "S3OutputPath": f"{_BUCKET}/",
            "CompressionType": "GZIP" if job.compress else "NONE",
        },
        "ResourceConfig": _resources(job),
        "StoppingCondition": _stopping(job),
        "EnableNetworkIsolation": job.isolated,
        "EnableManagedSpotTraining": bool(job.spot_interrupt_after),
        "Environment": dict(job.environment),
    }
    if not job.channels:
        del document["InputDataConfig"]  # optional, but not empty (TRAIN-36)
    if job.checkpoint_dir:
        document["CheckpointConfig"] = {"S3Uri": checkpoint_uri(job), "LocalPath": job.checkpoint_path}
    return document


def from_request(path: Path, image: str, sources: Mapping[str, Channel]) -> TrainingJob:
    """The job that a CreateTrainingJob request describes, on files of this machine.

    Args:
        path: a JSON file: the request as boto3 takes it, or as `aws sagemaker create-training-job` does.
        image: local image that runs instead of the request's TrainingImage.
        sources: channel name -> the files that stand for its S3 address; what else such a channel says
            replaces what the request says.

    Raises:
        ToolkitError: not such a request, or a channel without a source.
    """
    document = _read(path)
    try:
        channels = tuple(_channel_of(channel, sources) for channel in document.get("InputDataConfig") or ())
        job = _job_of(document, image)
    except KeyError as error:
        raise ToolkitError(f"{path} is no CreateTrainingJob request: it has no {error.args[0]}.") from None
    except (TypeError, AttributeError, ValueError) as error:
        raise ToolkitError(f"{path} is no CreateTrainingJob request: {error}.") from None
    named = {channel.name for channel in channels}
    if strange := [name for name in sources if name not in named]:
        raise ToolkitError(
            f"{path} has no channel {strange[0]}.", f"It has {', '.join(sorted(named)) or 'none'}."
        )
    return replace(job, channels=channels)


def _algorithm(job: TrainingJob) -> dict[str, Any]:
    algorithm: dict[str, Any] = {"TrainingImage": job.image, "TrainingInputMode": job.input_mode}
    if job.metrics:
        algorithm["MetricDefinitions"] = [
            {"Name": name, "Regex": expression} for name, expression in job.metrics.items()
        ]
    if job.entrypoint is not None:
        algorithm["ContainerEntrypoint"] = list(job.entrypoint)
    if job.arguments is not None:
        algorithm["ContainerArguments"] = list(job.arguments)
    return algorithm


def _channel(job: TrainingJob, channel: Channel) -> dict[str, Any]:
    source: dict[str, Any] = {
        "S3DataType": channel.source_type,
        "S3Uri": f"{_BUCKET}/{job.name}/{channel.name}",
        "S3DataDistributionType": channel.distribution,
    }
    if channel.attribute_names:
        source["AttributeNames"] = list(channel.attribute_names)
    if channel.instance_groups:
        source["InstanceGroupNames"] = list(channel.instance_groups)
    document: dict[str, Any] = {
        "ChannelName": channel.name,
        "DataSource": {"S3DataSource": source},
        "CompressionType": "None",
        "RecordWrapperType": channel.record_wrapper,
        "InputMode": job.mode_of(channel),
    }
    if channel.content_type:
        document["ContentType"] = channel.content_type
    if channel.shuffle_seed is not None:
        document["ShuffleConfig"] = {"Seed": channel.shuffle_seed}
    return document


def _resources(job: TrainingJob) -> dict[str, Any]:
    if not job.instance_groups:
        resources: dict[str, Any] = {"InstanceType": job.instance_type, "InstanceCount": job.hosts}
    else:
        resources = {
            "InstanceGroups": [
                {
                    "InstanceGroupName": group.name,
                    "InstanceType": group.instance_type,
                    "InstanceCount": group.count,
                }
                for group in job.instance_groups
            ]
        }
    if job.warm_pool_dir:
        resources["KeepAlivePeriodInSeconds"] = 3600  # what the API and the guide agree on (TRAIN-99)
    return {**resources, "VolumeSizeInGB": VOLUME_GB}


def _stopping(job: TrainingJob) -> dict[str, int]:
    longest = math.ceil(job.max_run)
    stopping = {"MaxRuntimeInSeconds": longest}
    if job.spot_interrupt_after:
        stopping["MaxWaitTimeInSeconds"] = longest  # not below MaxRuntimeInSeconds
    return stopping


_KEYS = (  # what is read here of a request
    "TrainingJobName",
    "HyperParameters",
    "AlgorithmSpecification",
    "InputDataConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "StoppingCondition",
    "EnableNetworkIsolation",
    "CheckpointConfig",
    "Environment",
)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ToolkitError(f"--from-json {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise ToolkitError(f"--from-json {path} is not JSON: {error}.") from None
    if not isinstance(document, dict):
        raise ToolkitError(f"--from-json {path} must hold one JSON object, a CreateTrainingJob request.")
    absent = [key for key in _KEYS if key not in document]
    for key in document:
        # Others, such as those of DescribeTrainingJob's answer, are passed over.
        if key not in _KEYS and (near := get_close_matches(key, absent, n=1, cutoff=0.7)):
            raise ToolkitError(f"{path} has a key {key}, which no request has.", f"Did you mean {near[0]}?")
    return document


def _channel_of(document: Mapping[str, Any], sources: Mapping[str, Channel]) -> Channel:
    name = document["ChannelName"]
    if name not in sources:
        raise ToolkitError(
            f"Channel {name} lies on S3; this machine needs files for it.", f"--channel {name}=PATH"
        )
    data = document["DataSource"]
    s3, file_system = data.get("S3DataSource") or {}, data.get("FileSystemDataSource") or {}
    shuffle = document.get("ShuffleConfig") or {}
    given = sources[name]
    usual = Channel(name, given.source)
    changed = {
        item.name: getattr(given, item.name)
        for item in fields(given)
        if getattr(given, item.name) != getattr(usual, item.name)
    }
    asked = replace(
        usual,
        content_type=document.get("ContentType"),
        input_mode=document.get("InputMode"),
        distribution=s3.get("S3DataDistributionType", "FullyReplicated"),
        record_wrapper=document.get("RecordWrapperType", "None"),
        attribute_names=tuple(s3.get("AttributeNames") or ()),
        shuffle_seed=shuffle.get("Seed"),
        instance_groups=tuple(s3.get("InstanceGroupNames") or ()),
        manifest=s3.get("S3DataType") == "ManifestFile",
        access="rw" if file_system.get("FileSystemAccessMode") == "rw" else "ro",
    )
    return replace(asked, **changed)


def _job_of(document: Mapping[str, Any], image: str) -> TrainingJob:
    algorithm = document["AlgorithmSpecification"]
    resources = document["ResourceConfig"]
    checkpoints = document.get("CheckpointConfig") or {}
    entrypoint, arguments = (algorithm.get(f"Container{part}") for part in ("Entrypoint", "Arguments"))
    return TrainingJob(
        image=image,
        hyperparameters=_texts(document, "HyperParameters"),
        environment=_texts(document, "Environment"),
        name=_text(document["TrainingJobName"], "TrainingJobName"),
        isolated=bool(document.get("EnableNetworkIsolation")),
        hosts=_whole(resources.get("InstanceCount", 1), "InstanceCount"),
        instance_type=resources.get("InstanceType", DEFAULT_INSTANCE_TYPE),
        instance_groups=tuple(
            InstanceGroup(
                _text(group["InstanceGroupName"], "InstanceGroupName"),
                _text(group["InstanceType"], "InstanceType"),
                _whole(group["InstanceCount"], "InstanceCount"),
            )
            for group in resources.get("InstanceGroups") or ()
        ),
        input_mode=algorithm["TrainingInputMode"],
        entrypoint=None if entrypoint is None else _words(entrypoint, "ContainerEntrypoint"),
        arguments=None if arguments is None else _words(arguments, "ContainerArguments"),
        checkpoint_path=checkpoints.get("LocalPath") or DEFAULT_CHECKPOINT_PATH,
        max_run=_whole(
            (document.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds", int(MAX_RUN)),
            "MaxRuntimeInSeconds",
        ),
        compress=(document.get("OutputDataConfig") or {}).get("CompressionType") != "NONE",
        metrics={
            definition["Name"]: definition["Regex"] for definition in algorithm.get("MetricDefinitions") or ()
        },
    )


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{what} is {json.dumps(value)}, which is no text")
    return value


def _whole(value: Any, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{what} is {json.dumps(value)}, which is no whole number")
    return value


def _words(values: Any, what: str) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise TypeError(f"{what} is {json.dumps(values)}, which is no list")
    return tuple(_text(value, what) for value in values)


def _texts(document: Mapping[str, Any], what: str) -> dict[str, str]:
    """Name -> text, as SageMaker takes hyperparameters and environment (TRAIN-30)."""
    values = dict(document.get(what) or {})
    return {name: _text(value, f"{name} in {what}") for name, value in values.items()}
