"""A SageMaker training job planned: the files of /opt/ml on each host and the containers to run.

Nothing is written or run here: `plan` turns what CreateTrainingJob would say (`toolkit.jobs.job_description`)
into a `Plan`, and `toolkit.jobs.job` executes it.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from toolkit.jobs import channel_data, job_limits, job_request, opt_ml_tree
from toolkit.jobs.job_description import (
    SOURCE_PATH,
    Channel,
    InstanceGroup,
    TrainingJob,
    default_name,
    job_arn,
    region,
)
from toolkit.machine.run_spec import Bind, RunSpec

__all__ = ["SHARES", "Channel", "InstanceGroup", "Plan", "TrainingJob", "default_name", "plan"]

_WARM_POOL = "/opt/ml/sagemaker/warmpoolcache"  # TRAIN-25
SHARES = ".input"  # below the job's directory: links to the files that only some hosts get


@dataclass(frozen=True)
class Plan:
    """What will be written and run.

    Attributes:
        job: with its name filled in.
        directory: `jobs_dir/<name>`, not there yet.
        files: path below `directory` -> text.
        run: the container of the first host.
        further_runs: host -> container, of the others.
        links: path below `directory` -> file of this machine that shall also be found there, unchanged.
        copies: path below `directory` -> file of this machine that shall be copied there.
    """

    job: TrainingJob
    directory: Path
    files: Mapping[str, str]
    run: RunSpec
    further_runs: Mapping[str, RunSpec] = field(default_factory=dict)
    links: Mapping[str, Path] = field(default_factory=dict)
    copies: Mapping[str, Path] = field(default_factory=dict)

    @property
    def runs(self) -> dict[str, RunSpec]:
        """Host -> its container, the hosts sorted as text."""
        return {self.job.host_names()[0]: self.run, **self.further_runs}

    @property
    def has_network(self) -> bool:
        """True where the hosts share a network of the job's own."""
        return bool(self.run.aliases)

    def describe(self) -> str:
        """The plan for a person: each file, then the `docker run` lines."""
        steps = [f"write {self.directory / path}\n{text.rstrip()}" for path, text in self.files.items()]
        steps += [f"link {self.directory / path} to {source}" for path, source in self.links.items()]
        steps += [f"copy {source} to {self.directory / path}" for path, source in self.copies.items()]
        return "\n".join([*steps, "run", *self.commands()])

    def commands(self) -> list[str]:
        """The lines for a shell that do the same by hand."""
        internal = "--internal " if self.job.isolated else ""
        network = [f"docker network create {internal}{self.run.network}"] if self.has_network else []
        return [*network, *(run.command_line() for run in self.runs.values())]

    def as_json(self) -> str:
        """One JSON object: the CreateTrainingJob request, and what is written and run on this machine."""
        document = {
            "CreateTrainingJob": job_request.request(self.job),
            "Directory": str(self.directory),
            "Files": dict(self.files),
            "Commands": self.commands(),
        }
        return json.dumps(document, indent=2)


def plan(job: TrainingJob) -> Plan:
    """Check the description and say what will be written and run; nothing is changed.

    Raises:
        ToolkitError: a name, a value or a channel that SageMaker would refuse, or whose path is not here.
    """
    named = replace(job, name=job.name or default_name(job.image))
    job_limits.check(named)
    directory = named.jobs_dir / named.name
    # Two jobs of one name may run in two places, and a killed one may have left its network behind.
    network = f"opt-ml-{named.name}-{secrets.token_hex(3)}"
    if named.isolated and len(named.host_names()) == 1:
        network = "none"
    hosts = named.host_names()
    runs = {host: _run_spec(named, host, directory.absolute(), network) for host in hosts}
    return Plan(
        job=named,
        directory=directory,
        files={path: text for host in hosts for path, text in _files(named, host).items()},
        run=runs[hosts[0]],
        further_runs={host: runs[host] for host in hosts[1:]},
        links={path: source for host in hosts for path, source in _links(named, host).items()},
        copies={path: source for host in hosts for path, source in _copies(named, host).items()},
    )


def _files(job: TrainingJob, host: str) -> dict[str, str]:
    config = opt_ml_tree.input_config(job, host)
    files = {f"{host}/input/config/{name}": text for name, text in config.items()}
    for channel in _channels_of(job, host):
        if channel.manifest and job.mode_of(channel) == "File":  # TRAIN-53
            text = channel.source.read_text(encoding="utf-8")
            files[f"{host}/input/data/{channel.name}-manifest"] = text
    return files


def _links(job: TrainingJob, host: str) -> dict[str, Path]:
    """Of channels that are mounted file by file: the files of this host."""
    return {
        f"{SHARES}/{host}/{channel.name}/{key}": path
        for channel in _channels_of(job, host)
        if _is_mounted(job, channel) and _is_linked(channel)
        for key, path in _share(job, channel, host).items()
    }


def _copies(job: TrainingJob, host: str) -> dict[str, Path]:
    return {
        f"{host}/input/data/{channel.name}/{key}": path
        for channel in _channels_of(job, host)
        if channel.access == "copy"
        for key, path in _share(job, channel, host).items()
    }


def _channels_of(job: TrainingJob, host: str) -> list[Channel]:
    return [channel for channel in job.channels if host in job.hosts_of_channel(channel)]


def _is_mounted(job: TrainingJob, channel: Channel) -> bool:
    return job.mode_of(channel) != "Pipe" and channel.access != "copy"


def _is_linked(channel: Channel) -> bool:
    return channel.manifest or channel.distribution == "ShardedByS3Key"


def _share(job: TrainingJob, channel: Channel, host: str) -> dict[str, Path]:
    items = list(channel_data.objects(channel).items())
    return dict(channel_data.share(items, channel, job.hosts_of_channel(channel), host))


def _run_spec(job: TrainingJob, host: str, directory: Path, network: str) -> RunSpec:
    binds = [Bind(directory / host / part, f"/opt/ml/{part}") for part in ("input", "model", "output")]
    binds += [
        _channel_bind(channel, directory / SHARES / host)
        for channel in _channels_of(job, host)
        if _is_mounted(job, channel)
    ]
    binds += _further_binds(job, host, directory)
    command = ("train",) if job.entrypoint is None else ()  # TRAIN-01, TRAIN-06
    return RunSpec(
        image=job.image,
        entrypoint=job.entrypoint,
        command=command if job.arguments is None else job.arguments,  # TRAIN-07, TRAIN-08
        purpose=job.name,
        environment={**_platform_environment(job), **job.environment},
        binds=tuple(binds),
        network=network,
        aliases=() if network == "none" else (host,),
        # AWS's training toolkit waits until its host's name means something, and runs in isolated jobs, too.
        own_names=(host,) if network == "none" else (),
        # No hostname: the engine's own is unlike algo-1, as the platform's is (TRAIN-42).
        user=job.user,
        cpus=job.cpus,
        memory=job.memory,
        shm_size=(job.memory or _machine_memory()) // 2,  # large, unlike Docker's 64 MB (TRAIN-82)
    )


def _channel_bind(channel: Channel, shares: Path) -> Bind:
    source, target = channel.source.resolve(), f"/opt/ml/input/data/{channel.name}"
    if _is_linked(channel):
        return Bind(shares / channel.name, target, read_only=True)
    # One S3 object yields that one file in the channel's directory (TRAIN-52).
    target = f"{target}/{channel.source.name}" if source.is_file() else target
    return Bind(source, target, read_only=channel.access != "rw")  # TRAIN-55, TRAIN-62, TRAIN-65


def _further_binds(job: TrainingJob, host: str, directory: Path) -> list[Bind]:
    binds = []
    if job.source_dir:
        binds.append(Bind(job.source_dir.resolve(), SOURCE_PATH, read_only=True))
    if job.checkpoint_dir:
        # Several hosts have a directory each, as their instances have: what one writes no other sees.
        alone = len(job.host_names()) == 1
        source = job.checkpoint_dir.absolute() if alone else directory / host / "checkpoints"
        binds.append(Bind(source, job.checkpoint_path))
    if job.warm_pool_dir:
        binds.append(Bind(job.warm_pool_dir.absolute() / host, _WARM_POOL))
    return binds


def _platform_environment(job: TrainingJob) -> dict[str, str]:
    variables = {"TRAINING_JOB_NAME": job.name, "TRAINING_JOB_ARN": job_arn(job.name)}
    if job.warm_pool_dir:
        variables["SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY"] = _WARM_POOL
    # Without a network the platform gives neither region nor credentials (TRAIN-23).
    return (
        variables if job.isolated else {**variables, "AWS_REGION": region(), "AWS_DEFAULT_REGION": region()}
    )


def _machine_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
