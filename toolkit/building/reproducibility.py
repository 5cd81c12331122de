"""Does the same source give the same image? Two builds without any cache, compared file by file.

Compared are names, kinds, rights, owners and contents of every layer. Times of files are not: the engine's
own builder stamps what a step writes with the hour of the build.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from toolkit.machine import docker

# (layer from the lowest, path) to what is compared of a file
Files = Mapping[tuple[int, str], str]


@dataclass(frozen=True)
class FileDifference:
    """One file that two builds made differently.

    Attributes:
        layer: from the lowest, beginning with 0.
        path: in the image.
        reason: `only in the first`, `only in the second` or `differs`.
    """

    layer: int
    path: str
    reason: str


def files_of(reference: str) -> Files:
    """Every file of every layer of a local image, with one text for all that is compared of it.

    Raises:
        ToolkitError: the engine does not have the image.
    """
    with tempfile.TemporaryDirectory(prefix="layers-") as scratch:
        archive = Path(scratch) / "image.tar"
        docker.save_image(reference, archive)
        return dict(_read(archive))


def differences(first: Files, second: Files) -> list[FileDifference]:
    """What differs, lowest layer first."""
    return [
        FileDifference(layer, path, _reason((layer, path), first, second))
        for layer, path in sorted(first.keys() | second.keys())
        if first.get((layer, path)) != second.get((layer, path))
    ]


def _reason(key: tuple[int, str], first: Files, second: Files) -> str:
    if key not in second:
        return "only in the first"
    return "differs" if key in first else "only in the second"


def _read(archive: Path) -> Iterator[tuple[tuple[int, str], str]]:
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


def _compared(layer: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    facts = f"{member.type!r} {member.mode:o} {member.uid}:{member.gid} {member.linkname}"
    content = layer.extractfile(member) if member.isreg() else None
    return f"{facts} {_hash(content)}" if content else facts


def _hash(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := content.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()
