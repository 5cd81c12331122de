"""Which objects a channel has, and which of them a host gets; reads names and manifests, writes nothing.

A file below the channel's source stands for an S3 object, its path relative to the source for the key.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from toolkit.errors import ToolkitError
from toolkit.jobs.job_description import Channel

_Item = TypeVar("_Item")


def objects(channel: Channel) -> dict[str, Path]:
    """Key -> file, in the order in which S3 lists keys: by their UTF-8 bytes.

    A single file is one object of the name that it was given by, also where that is a link (TRAIN-52). Of a
    ManifestFile these are the files that it lists, in its order.

    Raises:
        ToolkitError: a manifest that is not as SageMaker wants it, or lists a file that is not there.
    """
    source = channel.source.resolve()
    if channel.manifest:
        return _listed(channel)
    if source.is_file():
        return {channel.source.name: source}
    found = {path.relative_to(source).as_posix(): path for path in source.rglob("*") if path.is_file()}
    return dict(sorted(found.items(), key=lambda item: item[0].encode()))


def warnings(channels: Sequence[Channel]) -> list[str]:
    """One line for each channel that SageMaker would find no object for."""
    return [
        f"Channel {channel.name}: {channel.source} has no file. SageMaker fails such a job: "
        "No S3 objects found."
        for channel in channels
        if channel.source_type == "S3Prefix" and channel.access != "rw" and not objects(channel)
    ]


def share(
    items: Sequence[_Item], channel: Channel, hosts: Sequence[str], host: str, epoch: int = 0
) -> list[_Item]:
    """What `host` gets of the channel's objects, or of the lines of its augmented manifest.

    Shuffled first, then dealt: so a host may get other items in the next epoch, as the platform does it
    (TRAIN-61). Dealt one by one: no host has more than one item more than another.

    Args:
        items: all of them, in the channel's order.
        channel: says whether they are shuffled and sharded.
        hosts: those that get the channel, in the order of their ranks.
        host: one of them.
        epoch: from 0; counts only where items are shuffled.
    """
    order = list(items)
    if channel.shuffle_seed is not None:
        random.Random(f"{channel.shuffle_seed} {epoch}").shuffle(order)  # noqa: S311 - no secret
    if channel.distribution == "ShardedByS3Key":
        return order[hosts.index(host) :: len(hosts)]
    return order


def manifest_entries(channel: Channel) -> tuple[str, list[str]]:
    """The prefix and the relative names of a ManifestFile.

    Raises:
        ToolkitError: not a JSON list of `{"prefix": ...}` and names.
    """
    wrong = ToolkitError(
        f"Channel {channel.name}: {channel.source} is not a manifest.",
        'Write a JSON list: [{"prefix": "s3://bucket/folder/"}, "part-1.csv", "part-2.csv"]',
    )
    try:
        document = json.loads(channel.source.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise wrong from None
    if not (isinstance(document, list) and document and isinstance(document[0], dict)):
        raise wrong
    prefix, names = document[0].get("prefix"), document[1:]
    if not isinstance(prefix, str) or not all(isinstance(name, str) and name for name in names):
        raise wrong
    return prefix, names


def manifest_lines(channel: Channel) -> list[Mapping[str, Any]]:
    """The lines of an augmented manifest, each a JSON object with at least the channel's attributes.

    Raises:
        ToolkitError: a line that is not, by its number.
    """
    try:
        lines = channel.source.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        raise ToolkitError(
            f"Channel {channel.name}: {channel.source} is not an augmented manifest.",
            "Name one file of JSON lines.",
        ) from None
    return [_record(channel, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def referenced(channel: Channel, uri: str) -> Path:
    """The file that a `-ref` attribute or an `s3://` address in a manifest means on this machine.

    Looked for beside the manifest: `s3://bucket/photos/1.jpg` is `bucket/photos/1.jpg`, `photos/1.jpg` or
    `1.jpg` there, the first that exists. Any other text is a path, relative to the manifest's directory.

    Raises:
        ToolkitError: there is no such file.
    """
    directory = channel.source.resolve().parent
    parts = PurePosixPath(uri.removeprefix("s3://")).parts
    tails = range(len(parts)) if uri.startswith("s3://") else range(1)
    for start in tails:
        path = directory.joinpath(*parts[start:])
        if path.is_file():
            return path
    raise ToolkitError(
        f"Channel {channel.name}: {channel.source} names {uri}, which is not in {directory}.",
        "Lay the files beside the manifest, under their keys.",
    )


def _listed(channel: Channel) -> dict[str, Path]:
    prefix, names = manifest_entries(channel)
    directory = channel.source.resolve().parent
    if not prefix.startswith("s3://"):
        directory /= prefix
    found = {}
    for name in names:
        path = directory / name
        if ".." in PurePosixPath(name).parts or name.startswith("/") or not path.is_file():
            raise ToolkitError(
                f"Channel {channel.name}: {channel.source} lists {name}, which is no file in {directory}.",
                "An s3:// prefix stands for the manifest's own directory; any other is a path.",
            )
        found[name] = path
    return found


def _record(channel: Channel, number: int, line: str) -> Mapping[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise ToolkitError(f"Channel {channel.name}: {channel.source} line {number} is no JSON object.")
    if missing := [name for name in channel.attribute_names if name not in record]:
        raise ToolkitError(
            f"Channel {channel.name}: {channel.source} line {number} has no attribute {missing[0]}.",
            f"It has {', '.join(record) or 'none'}.",
        )
    for name in channel.attribute_names:
        if name.endswith("-ref"):
            if not isinstance(record[name], str):
                raise ToolkitError(
                    f"Channel {channel.name}: {channel.source} line {number}: {name} is no address."
                )
            referenced(channel, record[name])
    return record
