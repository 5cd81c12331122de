"""The files of a channel wherever they lie: the leader reads those of other hosts over their links.

A split channel (`ShardedByS3Key`) becomes what it was before the platform split it: files in the order of
their names, whoever has them. Of a channel that every host has whole, the leader reads its own copy; it may
have none where the channel belongs to an instance group (TRAIN-45).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from opt_ml.data import open_epoch, open_objects, record_streams
from opt_ml.environment import Channel
from opt_ml.errors import UserError

from opt_ml_ensemble.hosts.link import Link

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Remote:
    """Another host as the leader reads from it.

    Attributes:
        host: its name.
        channels: what `listing` said there.
    """

    host: str
    link: Link
    channels: Mapping[str, list[str]]


def listing(channels: Mapping[str, Channel]) -> dict[str, list[str]]:
    """By channel, the files that this host has, as paths below it; `[""]` for a pipe.

    A channel that this host was not given is left out (TRAIN-46).
    """
    found: dict[str, list[str]] = {}
    for name, channel in channels.items():
        if channel.input_mode == "Pipe":
            found[name] = [""]
        elif channel.directory.is_dir():
            found[name] = [path.relative_to(channel.directory).as_posix() for path in channel.files()]
    return found


def objects(channel: Channel, own: list[str] | None, others: list[Remote]) -> Iterator[tuple[Path, BinaryIO]]:
    """Every object of a channel on any host, as `opt_ml.data.open_objects` gives those of one host.

    Args:
        channel: as the leader sees it.
        own: the leader's listing; None where it has not got the channel.
        others: in the order of their ranks.

    Raises:
        UserError: a host was lost while it was read from.
    """
    having = [remote for remote in others if channel.name in remote.channels]
    if channel.distribution != "ShardedByS3Key":
        if own is not None:
            yield from open_objects(channel)
            return
        having = having[:1]
    if channel.input_mode == "Pipe":
        if own is not None:
            yield from open_objects(channel)
        for remote in having:
            yield from _piped(channel, remote)
        return
    places: list[tuple[str, Remote | None]] = [(name, None) for name in own or ()]
    places += [(name, remote) for remote in having for name in remote.channels[channel.name]]
    for name, owner in sorted(places, key=lambda place: PurePosixPath(place[0])):
        path = channel.directory / name
        if owner is None:
            with path.open("rb") as stream:
                yield path, stream
        else:
            yield path, _opened(channel.name, name, owner)


def _piped(channel: Channel, remote: Remote) -> Iterator[tuple[Path, BinaryIO]]:
    path = channel.directory.with_name(f"{channel.name}_0@{remote.host}")
    stream = _opened(channel.name, "", remote)
    if channel.record_wrapper != "RecordIO":
        yield path, stream
        return
    for number, record in enumerate(record_streams(stream, f"{channel.name} of {remote.host}"), start=1):
        yield path / f"record-{number}", record


def _opened(channel: str, name: str, remote: Remote) -> BinaryIO:
    remote.link.send("open", {"channel": channel, "file": name})
    return io.BufferedReader(_RemoteStream(remote), _CHUNK)


class _RemoteStream(io.RawIOBase):
    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._rest = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest and not self._ended:
            message = self._remote.link.receive()
            if message.kind not in ("bytes", "end"):
                raise UserError(f"{message.facts.get('reason')} (on host {self._remote.host})")
            self._ended = message.kind == "end"
            self._rest = memoryview(b"" if self._ended else message.to_bytes())
        view = memoryview(buffer)
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def hand_over(link: Link, channel: Channel, name: str) -> None:
    """Send a file, or a pipe's epoch 0, to the leader that asked for it.

    Raises:
        LinkLostError: the leader is gone.
        UserError: a pipe that does not come.
    """
    stream: BinaryIO = (
        open_epoch(channel) if channel.input_mode == "Pipe" else (channel.directory / name).open("rb")
    )
    with stream:
        while content := stream.read(_CHUNK):
            link.send("bytes", {}, content)
    link.send("end")
