"""/opt/ml and the process environment, read once, typed, and as tolerant as the contract asks.

Sources: contract rules TRAIN-30 to TRAIN-48 (files), LOCAL-22 (network interface), TT-08 (base directory).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opt_ml.errors import UserError


@dataclass(frozen=True)
class Channel:
    """One input channel of a training job.

    Attributes:
        name: as in inputdataconfig.json, 1 to 64 characters of `A-Z a-z 0-9 . - _` (TRAIN-37).
        directory: where File and FastFile mode put its files; it may be absent on this host (TRAIN-46).
        content_type: None where the job did not say (TRAIN-35).
        input_mode: `File`, `FastFile` or `Pipe`.
        distribution: `FullyReplicated` or `ShardedByS3Key`.
        record_wrapper: `None` or `RecordIO`.
    """

    name: str
    directory: Path
    content_type: str | None = None
    input_mode: str = "File"
    distribution: str = "FullyReplicated"
    record_wrapper: str = "None"

    def files(self) -> list[Path]:
        """All data files of the channel, sorted, sub-directories included (TRAIN-51).

        Hidden files, `_SUCCESS`-like markers and empty directory markers are passed over.
        """
        if not self.directory.is_dir():
            return []
        found = (path for path in sorted(self.directory.rglob("*")) if path.is_file())
        return [
            path
            for path in found
            if not any(part.startswith((".", "_")) for part in path.relative_to(self.directory).parts)
        ]


@dataclass(frozen=True)
class InstanceGroup:
    """Hosts of one instance type; a heterogeneous cluster has up to five such groups (TRAIN-45)."""

    name: str
    instance_type: str
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class Environment:
    """A training job as its container sees it.

    Attributes:
        base: `/opt/ml`, or SAGEMAKER_BASE_DIR (TT-08).
        hyperparameters: name to decoded value (see `decode_hyperparameter`); names that begin with
            `sagemaker_` and `_tuning_objective_metric` are in `reserved` instead (TRAIN-113, TT-34).
        raw_hyperparameters: the same names to what came, for those that are texts: decoded, `2024.10` would
            be the number 2024.1 and `null` nothing.
        channels: name to channel; empty for a job without data (TRAIN-36).
        current_host, hosts: from resourceconfig.json, `algo-1` and `[algo-1]` without one.
        network_interface: falls back to an interface that exists (LOCAL-22).
        resource_config, input_data_config: the two files as they are, `{}` where there is none.
    """

    base: Path
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    reserved: Mapping[str, Any] = field(default_factory=dict)
    raw_hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    channels: Mapping[str, Channel] = field(default_factory=dict)
    current_host: str = "algo-1"
    hosts: tuple[str, ...] = ("algo-1",)
    network_interface: str = "eth0"
    job_name: str = ""
    resource_config: Mapping[str, Any] = field(default_factory=dict)
    input_data_config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def instance_groups(self) -> tuple[InstanceGroup, ...]:
        """The groups of like instances, in the order of the file; empty where it names none (TRAIN-39)."""
        groups = self.resource_config.get("instance_groups") or []
        return tuple(
            InstanceGroup(
                str(group.get("instance_group_name", "")),
                str(group.get("instance_type", "")),
                tuple(group.get("hosts") or ()),
            )
            for group in groups
            if isinstance(group, dict)
        )

    @property
    def current_instance_group(self) -> str:
        """The group of this host; `homogeneousCluster` in a job without groups (TRAIN-39)."""
        return str(self.resource_config.get("current_group_name", "homogeneousCluster"))

    @property
    def code_dir(self) -> Path:
        """Where the user's program lies (TT-06); the image may bring it (TRAIN-16)."""
        return self.base / "code"

    @property
    def model_dir(self) -> Path:
        """Where the final model goes (TRAIN-70)."""
        return self.base / "model"

    @property
    def output_data_dir(self) -> Path:
        """Where other artefacts go: they become output.tar.gz (TRAIN-73)."""
        return self.base / "output" / "data"

    @property
    def failure_file(self) -> Path:
        """Its first 1024 characters become the job's FailureReason (TRAIN-75)."""
        return self.base / "output" / "failure"

    @property
    def checkpoint_dir(self) -> Path:
        """Where checkpoints are kept; may be absent (TRAIN-90, TRAIN-92)."""
        return self.base / "checkpoints"

    @property
    def is_leader(self) -> bool:
        """True on the first host of the sorted list (TRAIN-43)."""
        return self.current_host == sorted(self.hosts)[0]


RESERVED_HYPERPARAMETERS = frozenset({"_tuning_objective_metric", "default_user_module_name"})  # TT-34


def base_dir() -> Path:
    """`/opt/ml`, or SAGEMAKER_BASE_DIR where that is set (TT-08)."""
    return Path(os.environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml")


def read_environment(base: Path | None = None) -> Environment:
    """Read the job from `base`/input/config and the process environment.

    Every file may be missing; a file that is there must be a JSON object.

    Raises:
        UserError: a config file that is not a JSON object, with its path.
    """
    base = base or base_dir()
    config = base / "input" / "config"
    raw = _read_object(config / "hyperparameters.json")
    decoded = {name: decode_hyperparameter(value) for name, value in raw.items()}
    reserved = {name for name in decoded if name in RESERVED_HYPERPARAMETERS or name.startswith("sagemaker_")}
    resources = _read_object(config / "resourceconfig.json")
    current_host = str(resources.get("current_host") or "algo-1")
    input_data_config = _channel_settings(base)
    channels = {name: _channel(base, name, settings) for name, settings in input_data_config.items()}
    return Environment(
        base=base,
        hyperparameters={name: value for name, value in decoded.items() if name not in reserved},
        reserved={name: value for name, value in decoded.items() if name in reserved},
        raw_hyperparameters={name: value for name, value in raw.items() if name not in reserved},
        channels=channels,
        current_host=current_host,
        hosts=tuple(resources.get("hosts") or [current_host]),
        network_interface=_existing_interface(str(resources.get("network_interface_name") or "eth0")),
        job_name=os.environ.get("TRAINING_JOB_NAME", ""),
        resource_config=resources,
        input_data_config=input_data_config,
    )


def decode_hyperparameter(value: Any) -> Any:
    """JSON where the text is JSON, else the text itself (TRAIN-30 to TRAIN-32).

    SDK v2 sends a string with quotes of its own, `'"abc"'`; a number comes as `'10'`, a text as it stands.
    """
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):  # the second: thousands of opening brackets
        return value


def _read_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8") or "{}")
    except FileNotFoundError:
        return {}
    except ValueError as error:  # not JSON, or not UTF-8
        raise UserError(
            f"{path} is not valid JSON ({error}). Write one JSON object, at least {{}}."
        ) from None
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold one JSON object, but holds a {type(content).__name__}.")
    return content


def _channel_settings(base: Path) -> dict[str, Any]:
    """What inputdataconfig.json says; without one, each directory of input/data is a channel.

    The platform always writes the file, and lays other things beside the channels (TRAIN-53). Who runs the
    container by hand has put only data there.
    """
    path = base / "input" / "config" / "inputdataconfig.json"
    data = base / "input" / "data"
    if path.exists() or not data.is_dir():
        return _read_object(path)
    return {directory.name: {} for directory in sorted(data.iterdir()) if directory.is_dir()}


def _channel(base: Path, name: str, settings: Any) -> Channel:
    settings = settings if isinstance(settings, dict) else {}
    return Channel(
        name=name,
        directory=base / "input" / "data" / name,
        content_type=settings.get("ContentType"),
        input_mode=settings.get("TrainingInputMode") or "File",
        distribution=settings.get("S3DistributionType") or "FullyReplicated",
        record_wrapper=settings.get("RecordWrapperType") or "None",
    )


def _existing_interface(name: str) -> str:
    # SDK v3 local mode names `ethwe`, which does not exist in Docker (LOCAL-21, LOCAL-22).
    interfaces = Path("/sys/class/net")
    if not interfaces.is_dir() or (interfaces / name).exists():
        return name
    real = sorted(path.name for path in interfaces.iterdir() if path.name != "lo")
    return real[0] if real else "lo"
