"""Does the same source give the same image? Two builds without any cache, compared layer by layer.

Where the digests of the layers differ, every file tells why: its name, kind, rights, owner, content and time.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import IO, NamedTuple

from toolkit.errors import ToolkitError
from toolkit.machine import docker


class Compared(NamedTuple):
    """What is compared of a file: all that is not a time, and the time of its last change."""

    facts: str
    modified: float
    is_folder: bool = False


# (layer from the lowest, path) to what is compared of a file
Files = Mapping[tuple[int, str], Compared]


@dataclass(frozen=True)
class FileDifference:
    """One file that two builds made differently.

    Attributes:
        layer: from the lowest, beginning with 0.
        path: in the image.
        reason: `only in the first`, `only in the second`, `differs` or `differs in time`.
    """

    layer: int
    path: str
    reason: str


@dataclass(frozen=True)
class Comparison:
    """Two builds of one image.

    Attributes:
        layers: how many the second has.
        is_same_image: the configuration is the same too, with the image's date.
        differing: numbers of the layers that differ, from the lowest, beginning with 0.
        files: what differs in them, lowest layer first.
    """

    layers: int
    is_same_image: bool
    differing: tuple[int, ...] = ()
    files: tuple[FileDifference, ...] = ()

    def __str__(self) -> str:
        if not self.differing:
            what = "the same image" if self.is_same_image else "another date, and the same content"
            return f"two builds gave {what} ({self.layers} {_layers(self.layers)})."
        found = f"{len(self.differing)} of {self.layers} {_layers(self.layers)} differ between two builds"
        if not self.files:
            return f"{found}, by folders in which nothing has changed; the files are the same."
        one = self.files[0]
        where = f"/{one.path} in layer {one.layer + 1}"
        return f"{found}, by {len(self.files)} files.\nThe first: {where}: {one.reason}"


def _layers(count: int) -> str:
    return "layer" if count == 1 else "layers"


@contextmanager
def kept(references: Sequence[str]) -> Iterator[list[str]]:
    """Second names for some local images, so that another build takes none away; gone after the block.

    Raises:
        ToolkitError: the engine does not have one.
    """
    names = [f"{reference.rpartition(':')[0]}:built-first" for reference in references]
    try:
        for pair in zip(references, names, strict=True):
            docker.tag_image(*pair)
        yield names
    finally:
        docker.remove_images(names)


def compare(first: str, second: str) -> Comparison:
    """Two local images; only where their layers differ are the files looked at.

    Raises:
        ToolkitError: the engine does not have one of them.
    """
    one, other = docker.inspect_image(first), docker.inspect_image(second)
    if one is None or other is None:
        raise ToolkitError(f"{first} or {second} is not in the engine any more.", "Run it again.")
    layers = [facts["RootFS"]["Layers"] for facts in (one, other)]
    differing = [number for number, pair in enumerate(zip_longest(*layers)) if pair[0] != pair[1]]
    files = differences(files_of(first), files_of(second)) if differing else []
    return Comparison(len(layers[1]), one["Id"] == other["Id"], tuple(differing), tuple(files))


def files_of(reference: str) -> Files:
    """Every file of every layer of a local image.

    Raises:
        ToolkitError: the engine does not have the image.
    """
    with tempfile.TemporaryDirectory(prefix="layers-") as scratch:
        archive = Path(scratch) / "image.tar"
        docker.save_image(reference, archive)
        return dict(_read(archive))


def differences(first: Files, second: Files) -> list[FileDifference]:
    """What differs, lowest layer first.

    A folder that a lower layer has in the same way is none, but for its time: of those in which nothing has
    changed the engine lists all or none, as it compares the layer with the one below.
    """
    return [
        FileDifference(layer, path, _reason((layer, path), first, second))
        for layer, path in sorted(first.keys() | second.keys())
        if first.get((layer, path)) != second.get((layer, path))
        and not (_is_known_folder((layer, path), first) or _is_known_folder((layer, path), second))
    ]


def _is_known_folder(key: tuple[int, str], files: Files) -> bool:
    layer, path = key
    below = (files[number, path] for number in reversed(range(layer)) if (number, path) in files)
    lower = next(below, None)
    return key in files and files[key].is_folder and lower is not None and lower.facts == files[key].facts


def _reason(key: tuple[int, str], first: Files, second: Files) -> str:
    if key not in second:
        return "only in the first"
    if key not in first:
        return "only in the second"
    return "differs in time" if first[key].facts == second[key].facts else "differs"


def _read(archive: Path) -> Iterator[tuple[tuple[int, str], Compared]]:
    with tarfile.open(archive) as image:
        manifest = image.extractfile("manifest.json")
        assert manifest is not None  # noqa: S101 - every `docker save` has one
        [described] = json.load(manifest)
        for number, name in enumerate(described["Layers"]):
            blob = image.extractfile(name)
            assert blob is not None  # noqa: S101 - the manifest names it
            with tarfile.open(fileobj=blob, mode="r:*") as layer:
                for member in layer:
                    yield (number, member.name), _compared(layer, member)


def _compared(layer: tarfile.TarFile, member: tarfile.TarInfo) -> Compared:
    attributes = sorted((key, value) for key, value in member.pax_headers.items() if not key.endswith("time"))
    facts = f"{member.type!r} {member.mode:o} {member.uid}:{member.gid} {member.linkname} {attributes}"
    content = layer.extractfile(member) if member.isreg() else None
    return Compared(f"{facts} {_hash(content)}" if content else facts, member.mtime, member.isdir())


def _hash(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := content.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()
