"""What CreateTrainingJob would refuse, found before anything is written; the numbers are the API model's."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from toolkit.jobs import channel_data
from toolkit.errors import ToolkitError
from toolkit.jobs.job_description import (
    ACCESSES,
    DISTRIBUTIONS,
    INPUT_MODES,
    RECORD_WRAPPERS,
    Channel,
    TrainingJob,
)

_JOB_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_CHANNEL_NAME = re.compile(r"[A-Za-z0-9.\-_]{1,64}")  # TRAIN-37
_VARIABLE_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,511}")  # TRAIN-22
_LONGEST_RUN = 28 * 24 * 3600  # seconds (TRAIN-98)
_OF_THE_PLATFORM = ("/opt/ml/input", "/opt/ml/model", "/opt/ml/output")


def check(job: TrainingJob) -> None:
    """Find the first thing that SageMaker would refuse, or that is not on this machine.

    Raises:
        ToolkitError: it, with what to do.
    """
    if not _JOB_NAME.fullmatch(job.name) or len(job.name) > 63:
        raise ToolkitError(f"The job name {job.name!r} is not 1 to 63 letters, digits and inner hyphens.")
    _check_texts(job)
    _check_hosts(job)
    _check_times(job)
    _check_directories(job)
    one_of(job.input_mode, INPUT_MODES, "The input mode")
    if len(job.channels) > 20:  # TRAIN-37
        raise ToolkitError(f"SageMaker takes at most 20 channels; this job has {len(job.channels)}.")
    names = [channel.name for channel in job.channels]
    for channel in job.channels:
        if names.count(channel.name) > 1:
            raise ToolkitError(f"Channel {channel.name} is given twice.", "Put its files into one directory.")
        _check_channel(job, channel)


def one_of(value: str, known: Sequence[str], what: str) -> None:
    """Check that `value` is one of `known`.

    Raises:
        ToolkitError: it is not; with the nearest of them.
    """
    if value not in known:
        near = difflib.get_close_matches(value, known, n=1, cutoff=0.5)
        cure = f"Did you mean {near[0]}?" if near else f"It is one of {', '.join(known)}."
        raise ToolkitError(f"{what} {value!r} is not known.", cure)


def _check_texts(job: TrainingJob) -> None:
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
    for what, words in (("entrypoint", job.entrypoint), ("arguments", job.arguments)):
        if words is not None and not (1 <= len(words) <= 100 and all(len(word) <= 256 for word in words)):
            raise ToolkitError(
                f"The container's {what}: 1 to 100 words of at most 256 characters (TRAIN-09)."
            )
    if len(job.metrics) > 40:  # TRAIN-110
        raise ToolkitError(f"SageMaker takes at most 40 metric definitions; this job has {len(job.metrics)}.")
    for name, expression in job.metrics.items():
        _check_metric(name, expression)


def _check_metric(name: str, expression: str) -> None:
    if not 0 < len(name) <= 255 or not 0 < len(expression) <= 500:  # TRAIN-110
        raise ToolkitError(
            f"Metric {name!r}: a name has at most 255 characters and a regular expression 500."
        )
    try:
        groups = re.compile(expression).groups
    except re.error as error:
        raise ToolkitError(f"Metric {name}: {expression} is no regular expression: {error}.") from None
    if not groups:
        raise ToolkitError(
            f"Metric {name}: {expression} has no group for the value.", f"For example: {name}=([0-9.]+)"
        )


def _check_hosts(job: TrainingJob) -> None:
    if len(job.groups) > 5:  # TRAIN-45
        raise ToolkitError(f"SageMaker takes at most 5 instance groups; this job has {len(job.groups)}.")
    names = [group.name for group in job.groups]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ToolkitError(f"Instance group {twice} is given twice.")
    for group in job.groups:
        if group.count < 1:
            raise ToolkitError(f"A job has at least one host, not {group.count}.", "For example: --hosts 2")
    if job.cpus is not None and not 0.01 <= job.cpus < float("inf"):
        raise ToolkitError(f"{job.cpus:g} CPUs: a container has 0.01 or more.", "For example: --cpus 1.5")
    if job.warm_pool_dir and (job.instance_groups or job.spot_interrupt_after):  # TRAIN-99
        raise ToolkitError(
            "A warm pool goes neither with instance groups nor with spot instances (TRAIN-99)."
        )


def _check_times(job: TrainingJob) -> None:
    times = [("stop_after", job.stop_after), ("late_names", job.late_names)]
    times += [("stop_grace", job.stop_grace), ("spot_notice", job.spot_notice)]
    times += [("spot_interrupt_after", seconds) for seconds in job.spot_interrupt_after]
    for name, seconds in times:
        if seconds is not None and not 0 <= seconds < float("inf"):
            raise ToolkitError(f"{name} is {seconds}: it must be a number of seconds, 0 or more.")
    if not 0 < job.max_run <= _LONGEST_RUN:
        raise ToolkitError(f"max_run is {job.max_run}: SageMaker takes 1 second to 28 days (TRAIN-98).")


def _check_directories(job: TrainingJob) -> None:
    path = PurePosixPath(job.checkpoint_path)
    reserved = [top for top in _OF_THE_PLATFORM if path.is_relative_to(top) or PurePosixPath(top) == path]
    if not path.is_absolute() or len(job.checkpoint_path) > 4096 or reserved:  # TRAIN-90
        raise ToolkitError(
            f"The checkpoint path {job.checkpoint_path} is not an absolute path of its own in the container.",
            "Leave it out for /opt/ml/checkpoints.",
        )
    for what, directory in (("checkpoint", job.checkpoint_dir), ("warm pool", job.warm_pool_dir)):
        if directory and directory.exists() and not directory.is_dir():
            raise ToolkitError(f"The {what} directory {directory} is a file.")
    if bool(job.source_dir) != bool(job.entry_point):
        raise ToolkitError(
            "A script needs its directory and its name.", "--source-dir DIR --entry-point train.py"
        )
    if job.source_dir and job.entry_point:
        if not job.source_dir.is_dir():
            raise ToolkitError(f"The source directory {job.source_dir} is not there.")
        if not (job.source_dir / job.entry_point).is_file():
            names = [path.name for path in job.source_dir.iterdir() if path.is_file()]
            raise ToolkitError(
                f"{job.source_dir} has no {job.entry_point}.",
                _nearest(job.entry_point, names, "--entry-point"),
            )


def _check_channel(job: TrainingJob, channel: Channel) -> None:
    if not _CHANNEL_NAME.fullmatch(channel.name) or channel.name in {".", ".."}:
        raise ToolkitError(
            f"The channel name {channel.name!r} is not 1 to 64 of A-Z a-z 0-9 . _ - (TRAIN-37)."
        )
    if not channel.source.exists():
        raise ToolkitError(
            f"Channel {channel.name}: {channel.source} does not exist.",
            f"Name a file or a directory: {channel.name}=PATH",
        )
    _check_links(channel)
    mode = job.mode_of(channel)
    one_of(mode, INPUT_MODES, f"Channel {channel.name}: the input mode")
    one_of(channel.distribution, DISTRIBUTIONS, f"Channel {channel.name}: the distribution")
    one_of(channel.record_wrapper, RECORD_WRAPPERS, f"Channel {channel.name}: the record wrapper")
    one_of(channel.access, ACCESSES, f"Channel {channel.name}: the access")
    for group in channel.instance_groups:
        one_of(group, [known.name for known in job.groups], f"Channel {channel.name}: the instance group")
    _check_combination(channel, mode)
    if channel.attribute_names:
        channel_data.manifest_lines(channel)
    elif channel.manifest:
        channel_data.manifest_entries(channel)


def _check_links(channel: Channel) -> None:
    root = channel.source.resolve()
    for path in root.rglob("*") if root.is_dir() else ():
        if not path.is_symlink():
            continue
        # S3 knows no links, and inside the container such a one would lead nowhere.
        if not path.resolve().is_relative_to(root):
            raise ToolkitError(
                f"Channel {channel.name}: {path} is a symbolic link out of {channel.source}.",
                "Copy the file.",
            )
        if path.readlink().is_absolute():
            raise ToolkitError(
                f"Channel {channel.name}: {path} is a symbolic link by an absolute path, which the container "
                "does not have.",
                "Copy the file, or make the link relative.",
            )


def _check_combination(channel: Channel, mode: str) -> None:
    def refuse(what: str, cure: str) -> None:
        raise ToolkitError(f"Channel {channel.name}: {what}", cure)

    if channel.record_wrapper == "RecordIO" and mode != "Pipe":
        refuse(f"RecordIO is for Pipe mode, not for {mode} (TRAIN-59).", "Add mode=Pipe.")
    if len(channel.attribute_names) > 16:
        refuse("at most 16 attributes of an augmented manifest (TRAIN-60).", "Leave some out.")
    if channel.attribute_names and mode != "Pipe":
        refuse(f"an augmented manifest is for Pipe mode, not for {mode} (TRAIN-60).", "Add mode=Pipe.")
    if channel.manifest and mode == "FastFile":
        refuse("FastFile takes no manifest, only a prefix (TRAIN-54).", "Use mode=File.")
    if channel.access == "rw" and (mode != "File" or channel.distribution != "FullyReplicated"):
        refuse(
            "a file system that may be written is in File mode and fully replicated (TRAIN-34, TRAIN-62).",
            "Use access=copy, or leave mode and distribution out.",
        )
    if channel.access == "copy" and mode != "File":
        refuse(f"{mode} mode gives nothing to write to (TRAIN-55).", "Use mode=File.")
    if channel.access == "rw" and (channel.manifest or channel.source.is_file()):
        refuse("a file system is a directory (TRAIN-62).", "Name a directory.")


def _nearest(wanted: str, known: Iterable[str], option: str) -> str:
    near = difflib.get_close_matches(wanted, list(known), n=1)
    return f"{option} {near[0]}" if near else f"Name a file of it with {option}."
