"""A SageMaker training job as its caller describes it: data only, in the terms of CreateTrainingJob."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

INPUT_MODES = ("File", "FastFile", "Pipe")
DISTRIBUTIONS = ("FullyReplicated", "ShardedByS3Key")
RECORD_WRAPPERS = ("None", "RecordIO")
ACCESSES = ("ro", "copy", "rw")

DEFAULT_INSTANCE_TYPE = "ml.m5.large"  # any x86-64 type: nothing in the container may depend on it
DEFAULT_GROUP = "homogeneousCluster"  # TRAIN-39
DEFAULT_CHECKPOINT_PATH = "/opt/ml/checkpoints"  # TRAIN-90
SOURCE_PATH = "/opt/ml/code"  # where SDK v2 mounts a source directory in local mode (LOCAL-04)
STOP_GRACE = 120.0  # seconds from SIGTERM to SIGKILL (TRAIN-94)
MAX_RUN = 24 * 3600.0  # seconds, CreateTrainingJob's default (TRAIN-98)


@dataclass(frozen=True)
class Channel:
    """Files of this machine, given to the job as input channel `name`.

    Attributes:
        name: 1 to 64 characters of `A-Z a-z 0-9 . _ -` (TRAIN-37).
        source: a directory (stands for an S3 prefix, its files for the objects below it), a single file
            (one object), or a manifest.
        content_type: told to the container only where it is given (TRAIN-34).
        input_mode: `File`, `FastFile` or `Pipe`; None for the job's own.
        distribution: `FullyReplicated`, or `ShardedByS3Key`: each host gets its share of the files.
        record_wrapper: `RecordIO` wraps each object in Pipe mode (TRAIN-59); else `None`, the text.
        attribute_names: makes `source` an augmented manifest, JSON lines; these attributes of each line
            are streamed in this order (TRAIN-60). Pipe mode only.
        shuffle_seed: the order of the files (of the lines of an augmented manifest) changes with each
            epoch, the same for the same seed (TRAIN-61).
        instance_groups: names of the groups whose hosts get the channel; empty for all (TRAIN-45).
        manifest: `source` is a ManifestFile: a JSON list, first `{"prefix": ...}`, then names relative to
            it. An `s3://` prefix stands for the directory of the manifest (TRAIN-53).
        access: `ro`, the files themselves, read-only (TRAIN-65); `copy`, a copy of them that the container
            may change, as a download of File mode is (V3-07); `rw`, the files themselves, to be changed,
            as an EFS or FSx file system mounted `rw` (TRAIN-62).
    """

    name: str
    source: Path
    content_type: str | None = None
    input_mode: str | None = None
    distribution: str = "FullyReplicated"
    record_wrapper: str = "None"
    attribute_names: tuple[str, ...] = ()
    shuffle_seed: int | None = None
    instance_groups: tuple[str, ...] = ()
    manifest: bool = False
    access: str = "ro"

    @property
    def source_type(self) -> str:
        """As `S3DataType` of the request names it."""
        if self.attribute_names:
            return "AugmentedManifestFile"
        return "ManifestFile" if self.manifest else "S3Prefix"


@dataclass(frozen=True)
class InstanceGroup:
    """So many hosts of one instance type, in a heterogeneous cluster (TRAIN-45)."""

    name: str
    instance_type: str
    count: int


@dataclass(frozen=True)
class TrainingJob:
    """What a CreateTrainingJob request says, and how this machine shall play the platform.

    Attributes:
        image: local image reference.
        hyperparameters: at most 100, text to text (TRAIN-30, TRAIN-33).
        environment: set in the container as it stands (TRAIN-21).
        name: the job's name; empty for one made of the image's name and the time.
        isolated: no network but that between the job's own hosts, no AWS variables (TRAIN-24).
        cpus, memory: limits of each container: number of CPUs, bytes; None for all.
        jobs_dir: where the job's directory is made.
        user: `uid[:gid]` to run as; None for the image's own.
        hosts: number of hosts, `algo-1` to `algo-N` (TRAIN-41).
        instance_type: named in the container's files; changes nothing else.
        instance_groups: a heterogeneous cluster; `hosts` and `instance_type` are then those of the groups.
        input_mode: of channels that name none: `File`, `FastFile` or `Pipe`.
        entrypoint: ContainerEntrypoint, replaces ENTRYPOINT and appends nothing (TRAIN-06, TRAIN-08).
        arguments: ContainerArguments, replaces the word `train` (TRAIN-07, TRAIN-08).
        source_dir: script mode as SDK v2 asks for it: mounted read-only at `SOURCE_PATH`, and named with
            `entry_point` in the hyperparameters (V3-40).
        entry_point: the program in `source_dir`.
        checkpoint_dir: directory of this machine that stands for the checkpoints' S3 prefix (TRAIN-91);
            None for a job without CheckpointConfig. It is made where it is missing.
        checkpoint_path: absolute path in the container (TRAIN-90).
        stop_after: StopTrainingJob so many seconds after the start of the containers (TRAIN-94).
        max_run: MaxRuntimeInSeconds, of the training containers in all (TRAIN-98).
        stop_grace: seconds from SIGTERM to SIGKILL.
        spot_interrupt_after: interrupt the first container after so many seconds, the second one, ...; each
            time a new container starts with the same checkpoints and an empty model (TRAIN-96).
        spot_notice: seconds from SIGTERM to SIGKILL of an interruption; 0 for SIGKILL without notice.
        late_names: seconds until the hosts' names resolve (TRAIN-42).
        compress: False for OutputDataConfig.CompressionType=NONE: files instead of archives (TRAIN-71).
        warm_pool_dir: directory of this machine that stands for the cache of a warm pool (TRAIN-25).
        metrics: name -> regular expression whose first group is the value (TRAIN-110).
    """

    image: str
    channels: tuple[Channel, ...] = ()
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    isolated: bool = False
    cpus: float | None = None
    memory: int | None = None
    jobs_dir: Path = Path("jobs")
    user: str | None = None
    hosts: int = 1
    instance_type: str = DEFAULT_INSTANCE_TYPE
    instance_groups: tuple[InstanceGroup, ...] = ()
    input_mode: str = "File"
    entrypoint: tuple[str, ...] | None = None
    arguments: tuple[str, ...] | None = None
    source_dir: Path | None = None
    entry_point: str | None = None
    checkpoint_dir: Path | None = None
    checkpoint_path: str = DEFAULT_CHECKPOINT_PATH
    stop_after: float | None = None
    max_run: float = MAX_RUN
    stop_grace: float = STOP_GRACE
    spot_interrupt_after: tuple[float, ...] = ()
    spot_notice: float = 120.0
    late_names: float = 0.0
    compress: bool = True
    warm_pool_dir: Path | None = None
    metrics: Mapping[str, str] = field(default_factory=dict)

    @property
    def groups(self) -> tuple[InstanceGroup, ...]:
        """Its instance groups; one of all hosts for a homogeneous cluster (TRAIN-39)."""
        return self.instance_groups or (InstanceGroup(DEFAULT_GROUP, self.instance_type, self.hosts),)

    def hosts_of_groups(self) -> dict[str, list[str]]:
        """Group name -> its hosts; numbered through in the order of the groups, each list sorted as text."""
        names = iter(f"algo-{number}" for number in range(1, sum(group.count for group in self.groups) + 1))
        return {group.name: sorted(next(names) for _ in range(group.count)) for group in self.groups}

    def host_names(self) -> list[str]:
        """All hosts, sorted as text: algo-10 comes before algo-2 (TRAIN-38, TRAIN-44)."""
        return sorted(host for hosts in self.hosts_of_groups().values() for host in hosts)

    def hosts_of_channel(self, channel: Channel) -> list[str]:
        """The hosts that get the channel, sorted as text (TRAIN-45)."""
        wanted = channel.instance_groups
        of_groups = self.hosts_of_groups()
        return sorted(
            host for name, hosts in of_groups.items() if not wanted or name in wanted for host in hosts
        )

    def mode_of(self, channel: Channel) -> str:
        """The channel's input mode, or the job's."""
        return channel.input_mode or self.input_mode


def region() -> str:
    """The AWS region that a job is told: this machine's own, or us-east-1."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def job_arn(name: str) -> str:
    """The ARN of a job of this name, in an account that is nobody's (TRAIN-20)."""
    return f"arn:aws:sagemaker:{region()}:000000000000:training-job/{name}"


def default_name(image: str) -> str:
    """The image's base name and the local time, as the SageMaker SDK names jobs."""
    base = re.sub(r"[^a-zA-Z0-9]+", "-", image.rpartition("/")[2].partition(":")[0]).strip("-")[:36]
    now = datetime.now().astimezone()
    return f"{base or 'job'}-{now:%Y-%m-%d-%H-%M-%S}-{now.microsecond // 1000:03d}"
