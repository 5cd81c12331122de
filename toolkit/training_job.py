"""A SageMaker training job, described and planned; nothing is written or run here.

`TrainingJob` says what CreateTrainingJob would, `plan` turns it into the files of /opt/ml and the
container to run. `toolkit.job` executes the plan.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from toolkit import opt_ml_tree
from toolkit.errors import ToolkitError
from toolkit.run_spec import Bind, RunSpec

HOST = "algo-1"

_JOB_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_CHANNEL_NAME = re.compile(r"[A-Za-z0-9.\-_]{1,64}")  # TRAIN-37
_VARIABLE_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,511}")  # TRAIN-22


@dataclass(frozen=True)
class Channel:
    """A directory or a single file of this machine, given to the job as channel `name`."""

    name: str
    source: Path
    content_type: str | None = None


@dataclass(frozen=True)
class TrainingJob:
    """What a CreateTrainingJob request says.

    Attributes:
        image: local image reference.
        hyperparameters: at most 100, text to text (TRAIN-30, TRAIN-33).
        environment: set in the container as it stands (TRAIN-21).
        name: the job's name; empty for one made of the image's name and the time.
        isolated: no network at all, no AWS variables (TRAIN-24).
        cpus, memory: limits of the container: number of CPUs, bytes; None for all.
        jobs_dir: where the job's directory is made.
        user: `uid[:gid]` to run as; None for the image's own.
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


@dataclass(frozen=True)
class Plan:
    """What will be written and run.

    Attributes:
        job: with its name filled in.
        directory: `jobs_dir/<name>`, not there yet.
        files: path below `directory` -> text.
        run: the container of the one host.
    """

    job: TrainingJob
    directory: Path
    files: Mapping[str, str]
    run: RunSpec

    def describe(self) -> str:
        """The plan for a person: each file, then the `docker run` line."""
        written = [f"write {self.directory / path}\n{text.rstrip()}" for path, text in self.files.items()]
        network = [f"docker network create {self.run.network}"] if self.run.aliases else []
        return "\n".join([*written, "run", *network, self.run.command_line()])

    def as_json(self) -> str:
        """The same as one JSON object: name, directory, files and command."""
        document = {
            "name": self.job.name,
            "directory": str(self.directory),
            "files": dict(self.files),
            "command": self.run.command_line(),
        }
        return json.dumps(document, indent=2)


def plan(job: TrainingJob) -> Plan:
    """Check the description and say what will be written and run; nothing is changed.

    Raises:
        ToolkitError: a name, a value or a channel that SageMaker would refuse, or whose path is not here.
    """
    name = job.name or default_name(job.image)
    named = replace(job, name=name)
    _check(named)
    directory = job.jobs_dir / name
    files = opt_ml_tree.input_config(
        hyperparameters=job.hyperparameters,
        content_types={channel.name: channel.content_type for channel in job.channels},
        hosts=[HOST],
        current_host=HOST,
        job_name=name,
        image=job.image,
    )
    return Plan(
        job=named,
        directory=directory,
        files={f"{HOST}/input/config/{path}": text for path, text in files.items()},
        run=_run_spec(named, directory.absolute() / HOST),
    )


def default_name(image: str) -> str:
    """The image's base name and the local time, as the SageMaker SDK names jobs."""
    base = re.sub(r"[^a-zA-Z0-9]+", "-", image.rpartition("/")[2].partition(":")[0]).strip("-")[:36]
    now = datetime.now().astimezone()
    return f"{base or 'job'}-{now:%Y-%m-%d-%H-%M-%S}-{now.microsecond // 1000:03d}"


def _check(job: TrainingJob) -> None:
    if not _JOB_NAME.fullmatch(job.name):
        raise ToolkitError(f"The job name {job.name!r} is not 1 to 63 letters, digits and inner hyphens.")
    if len(job.hyperparameters) > 100 or len(job.environment) > 100:  # TRAIN-22, TRAIN-33
        raise ToolkitError("SageMaker takes at most 100 hyperparameters and 100 environment variables.")
    for key, value in job.hyperparameters.items():
        if not 0 < len(key) <= 256 or len(value) > 2500:  # TRAIN-33
            raise ToolkitError(f"Hyperparameter {key!r}: a name has at most 256 characters and a value 2500.")
    for key, value in job.environment.items():
        if not _VARIABLE_NAME.fullmatch(key) or len(value) > 512:  # TRAIN-22
            raise ToolkitError(
                f"Environment variable {key!r}: a name is letters, digits and _, a value is at most 512 long."
            )
    if len(job.channels) > 20:  # TRAIN-37
        raise ToolkitError(f"SageMaker takes at most 20 channels; this job has {len(job.channels)}.")
    names = [channel.name for channel in job.channels]
    for channel in job.channels:
        if names.count(channel.name) > 1:
            raise ToolkitError(f"Channel {channel.name} is given twice.", "Put its files into one directory.")
        _check_channel(channel)


def _check_channel(channel: Channel) -> None:
    if not _CHANNEL_NAME.fullmatch(channel.name) or channel.name in {".", ".."}:
        raise ToolkitError(
            f"The channel name {channel.name!r} is not 1 to 64 of A-Z a-z 0-9 . _ - (TRAIN-37)."
        )
    source = channel.source
    if not source.exists():
        raise ToolkitError(
            f"Channel {channel.name}: {source} does not exist.",
            f"Name a file or a directory: {channel.name}=PATH",
        )
    root = source.resolve()
    for path in root.rglob("*") if root.is_dir() else ():
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            # S3 knows no links, and inside the container this one would lead nowhere.
            raise ToolkitError(
                f"Channel {channel.name}: {path} is a symbolic link out of {source}.", "Copy the file."
            )


def _run_spec(job: TrainingJob, host_dir: Path) -> RunSpec:
    binds = [Bind(host_dir / part, f"/opt/ml/{part}") for part in ("input", "model", "output")]
    for channel in job.channels:
        source, target = channel.source.resolve(), f"/opt/ml/input/data/{channel.name}"
        # One S3 object yields that one file in the channel's directory (TRAIN-52).
        binds.append(Bind(source, f"{target}/{source.name}" if source.is_file() else target, read_only=True))
    return RunSpec(
        image=job.image,
        command=("train",),
        purpose=job.name,
        environment={**_platform_environment(job), **job.environment},
        binds=tuple(binds),
        # Two jobs of one name may run in two places, and a killed one may have left its network behind.
        network="none" if job.isolated else f"opt-ml-{job.name}-{secrets.token_hex(3)}",
        aliases=() if job.isolated else (HOST,),
        # No hostname: the engine's own is unlike algo-1, as the platform's is (TRAIN-42).
        user=job.user,
        cpus=job.cpus,
        memory=job.memory,
        shm_size=(job.memory or _machine_memory()) // 2,  # large, unlike Docker's 64 MB (TRAIN-82)
    )


def _platform_environment(job: TrainingJob) -> dict[str, str]:
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    names = {
        "TRAINING_JOB_NAME": job.name,
        "TRAINING_JOB_ARN": f"arn:aws:sagemaker:{region}:000000000000:training-job/{job.name}",
    }
    # Without a network the platform gives neither region nor credentials (TRAIN-23).
    return names if job.isolated else {**names, "AWS_REGION": region, "AWS_DEFAULT_REGION": region}


def _machine_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
