"""What SageMaker writes under /opt/ml before it starts a training container; pure.

Sources: contract rules TRAIN-30 to TRAIN-49.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

INSTANCE_TYPE = "ml.m5.large"  # any x86-64 training instance: nothing in the container may depend on it
NETWORK_INTERFACE = "eth0"


def input_config(
    hyperparameters: Mapping[str, str],
    content_types: Mapping[str, str | None],
    hosts: Sequence[str],
    current_host: str,
    job_name: str,
    image: str,
) -> dict[str, str]:
    """The files of /opt/ml/input/config.

    Args:
        hyperparameters: name to text; the platform passes on only strings (TRAIN-30).
        content_types: channel name to its content type, or None where the job says nothing (TRAIN-34).
        hosts: all hosts of the job.
        current_host: the one whose files these are.
        job_name: as in CreateTrainingJob.
        image: the training image.

    Returns:
        file name -> JSON text.
    """
    documents = {
        "hyperparameters.json": dict(hyperparameters),
        "inputdataconfig.json": {
            name: _channel(content_type) for name, content_type in content_types.items()
        },
        "resourceconfig.json": _resources(sorted(hosts), current_host),
        # Seen in real jobs and documented nowhere: a container must not mind them (TRAIN-47, TRAIN-48).
        "init-config.json": {"inputMode": "FILE", "channels": {name: {} for name in content_types}},
        "metric-definition-regex.json": [],
        "profilerconfig.json": {"DisableProfiler": True},
        "trainingjobconfig.json": {
            "TrainingJobName": job_name,
            "AlgorithmSpecification": {"TrainingImage": image},
        },
        "upstreamoutputdataconfig.json": [],
    }
    return {name: json.dumps(document, indent=2) + "\n" for name, document in documents.items()}


def _channel(content_type: str | None) -> dict[str, str]:
    settings = {
        "TrainingInputMode": "File",
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
    }
    # Present only where the request had it (TRAIN-34).
    return {"ContentType": content_type, **settings} if content_type else settings


def _resources(hosts: list[str], current_host: str) -> dict[str, Any]:
    """Sorted as text, so that algo-10 comes before algo-2 (TRAIN-38, TRAIN-39, TRAIN-44)."""
    group = {"instance_group_name": "homogeneousCluster", "instance_type": INSTANCE_TYPE, "hosts": hosts}
    return {
        "current_host": current_host,
        "current_instance_type": INSTANCE_TYPE,
        "current_group_name": "homogeneousCluster",
        "hosts": hosts,
        "instance_groups": [group],
        "network_interface_name": NETWORK_INTERFACE,
        "topology": None,
    }
