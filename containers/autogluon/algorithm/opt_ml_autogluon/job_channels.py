"""The channels of a job by what they are for, whatever the task."""

from __future__ import annotations

from collections.abc import Iterable

from opt_ml.environment import Channel, Environment
from opt_ml.errors import UserError
from opt_ml.nearest import nearest

# Each by the names that it has here and in the published examples.
CHANNELS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


def find_channels(
    environment: Environment, content: str = "CSV or Parquet files", further: Iterable[str] = ()
) -> dict[str, Channel]:
    """The channels of a job by what they are for: train, validation, test.

    Args:
        environment: the job's.
        content: what the train channel holds, for the error.
        further: names of channels that the task has beside these, such as `pretrained`.

    Returns:
        only those that this host has.

    Raises:
        UserError: no train channel, an unknown one, or one that is split over several hosts.
    """
    known_names = {**CHANNELS, **{name: name for name in further}}
    names = sorted(environment.channels)
    found: dict[str, Channel] = {}
    for name in names:
        channel = environment.channels[name]
        known = known_names.get(name)
        if known in found:
            raise UserError(
                f"The job has a channel {found[known].name} and a channel {name}. Give one of them."
            )
        if known:
            found[known] = channel
            continue
        meant = nearest(name, known_names)
        if meant:
            raise UserError(f"Unknown channel {name!r}.{meant} Channels are {', '.join(known_names)}.")
        # Other programs add channels of their own, as the SageMaker SDK does for scripts (V3-10, V3-11).
        print(f"Channel {name} is not used: channels are {', '.join(known_names)}.")
    if "train" not in found:
        only = f"no channel train, only {', '.join(names)}" if names else "no channels"
        raise UserError(f"The job has {only}. Add a channel train with {content}.")
    for channel in found.values():
        if len(environment.hosts) > 1 and channel.distribution == "ShardedByS3Key":
            raise UserError(
                f"The channel {channel.name} is split over {len(environment.hosts)} hosts (ShardedByS3Key), "
                "but AutoGluon trains on one. Set its distribution to FullyReplicated, or take one instance."
            )
    return {name: channel for name, channel in found.items() if name == "train" or _is_here(channel)}


def fits_here(environment: Environment, way_out: str = "") -> bool:
    """True on the host of a job that fits; each host of several says in its log what becomes of it.

    AutoGluon fits on one host, and two would write one model (TRAIN-74).

    Args:
        environment: the job's.
        way_out: how the others could be of use, where they could.
    """
    if len(environment.hosts) > 1:
        first = sorted(environment.hosts)[0]
        does = "fits the whole model" if environment.is_leader else "has nothing to do and ends"
        print(
            f"The job has {len(environment.hosts)} hosts, of which AutoGluon uses one, {first}. This one, "
            f"{environment.current_host}, {does}. "
            + (way_out or "Take one instance with more CPUs or GPUs instead."),
            flush=True,
        )
    return environment.is_leader


def _is_here(channel: Channel) -> bool:
    """False for a channel that this host was not given (TRAIN-45, TRAIN-46)."""
    if channel.input_mode == "Pipe" or channel.directory.is_dir():
        return True
    print(f"Channel {channel.name} is not used: it has no directory on this host.")
    return False
