"""What SageMaker writes under /opt/ml before it starts a training container; pure.

Sources: contract rules TRAIN-30 to TRAIN-49.
"""

from __future__ import annotations

import json
from typing import Any

from toolkit.jobs.job_description import SOURCE_PATH, Channel, TrainingJob, region

NETWORK_INTERFACE = "eth0"


def input_config(job: TrainingJob, host: str) -> dict[str, str]:
    """The files of /opt/ml/input/config on one host.

    Args:
        job: with its name.
        host: the one whose files these are.

    Returns:
        file name -> JSON text.
    """
    documents: dict[str, Any] = {
        "hyperparameters.json": hyperparameters(job),
        # On every host the same, also where a channel of other groups has no directory (TRAIN-46).
        "inputdataconfig.json": {channel.name: _channel(job, channel) for channel in job.channels},
        "resourceconfig.json": _resources(job, host),
        # Seen in real jobs and documented nowhere: a container must not mind them (TRAIN-47, TRAIN-48).
        "init-config.json": {
            "inputMode": job.input_mode.upper(),
            "channels": {channel.name: {} for channel in job.channels},
        },
        "metric-definition-regex.json": [
            {"Name": name, "Regex": expression} for name, expression in job.metrics.items()
        ],
        "profilerconfig.json": {"DisableProfiler": True},
        "trainingjobconfig.json": {
            "TrainingJobName": job.name,
            "AlgorithmSpecification": {"TrainingImage": job.image},
        },
        "upstreamoutputdataconfig.json": [],
    }
    if job.checkpoint_dir:  # TRAIN-47, TRAIN-49
        documents["checkpointconfig.json"] = {
            "S3Uri": checkpoint_uri(job),
            "LocalPath": job.checkpoint_path,
        }
    return {name: json.dumps(document, indent=2) + "\n" for name, document in documents.items()}


def checkpoint_uri(job: TrainingJob) -> str:
    """The made-up S3 prefix that the job's checkpoint directory stands for."""
    return f"s3://opt-ml-local/{job.name}/checkpoints"


def hyperparameters(job: TrainingJob) -> dict[str, str]:
    """The job's own, and those that SDK v2's Estimator adds for a script, JSON text each (V3-40)."""
    if not job.entry_point:
        return dict(job.hyperparameters)
    added = {
        "sagemaker_program": job.entry_point,
        "sagemaker_submit_directory": SOURCE_PATH,
        "sagemaker_container_log_level": 20,
        "sagemaker_job_name": job.name,
        "sagemaker_region": region(),
    }
    return {**{name: json.dumps(value) for name, value in added.items()}, **job.hyperparameters}


def _channel(job: TrainingJob, channel: Channel) -> dict[str, str]:
    settings = {
        "TrainingInputMode": job.mode_of(channel),
        "S3DistributionType": channel.distribution,
        "RecordWrapperType": channel.record_wrapper,
    }
    # Present only where the request had it (TRAIN-34).
    return {"ContentType": channel.content_type, **settings} if channel.content_type else settings


def _resources(job: TrainingJob, host: str) -> dict[str, Any]:
    """Host lists sorted as text, so that algo-10 comes before algo-2 (TRAIN-38, TRAIN-39, TRAIN-44)."""
    of_groups = job.hosts_of_groups()
    current = next(group for group in job.groups if host in of_groups[group.name])
    return {
        "current_host": host,
        "current_instance_type": current.instance_type,
        "current_group_name": current.name,
        "hosts": job.host_names(),
        "instance_groups": [
            {
                "instance_group_name": group.name,
                "instance_type": group.instance_type,
                "hosts": of_groups[group.name],
            }
            for group in job.groups
        ],
        "network_interface_name": NETWORK_INTERFACE,
        "topology": None,
    }
