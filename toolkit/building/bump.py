"""`build.py bump`: which content the tags of the bases have today, by asking their registry."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from toolkit.building import digests, dlc_layer
from toolkit.building.digests import Pin
from toolkit.building.images import Image, shown, tag_of
from toolkit.building.sources import Sources
from toolkit.errors import ToolkitError, WorkError
from toolkit.machine import docker


@dataclass(frozen=True)
class Proposal:
    """What a folder's digests.toml would hold.

    Attributes:
        folder: of a family of bases.
        pins: variant to pin, those that stay as they are included.
    """

    folder: Path
    pins: dict[str, Pin]

    def diff(self) -> str:
        """The change of the file as a unified diff; empty for none."""
        path = self.folder / digests.FILE
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        name = str(shown(path))
        lines = difflib.unified_diff(
            before.splitlines(), digests.text(self.pins).splitlines(), name, name, lineterm="", n=1
        )
        return "\n".join(lines)


def propose(bases: Sequence[Image], sources: Sources, today: date) -> tuple[list[Proposal], list[str]]:
    """Ask for each base; a pin whose content is the same keeps the day on which it was found.

    Args:
        bases: images that are pulled.
        sources: from where.
        today: the day to write.

    Returns:
        a proposal a folder, and a line for each base whose registry gave no answer.
    """
    found: dict[Path, dict[str, Pin]] = {}
    unanswered = []
    for base in bases:
        pins = found.setdefault(base.folder, digests.read(base.folder))
        tag = tag_of(base.variant)
        try:
            pin = Pin(tag, docker.manifest_digest(_reference(base, sources)), today)
        except ToolkitError as error:
            unanswered.append(f"{base.name}: {error}")
            continue
        before = pins.get(base.variant_name)
        if before is None or (before.tag, before.digest) != (pin.tag, pin.digest):
            pins[base.variant_name] = pin
    return [Proposal(folder, pins) for folder, pins in found.items()], unanswered


def write_packages(base: Image, sources: Sources, today: date) -> Path:
    """Write the list of the Python packages that a Deep Learning Container brings, which is pulled for it.

    Raises:
        ToolkitError: it cannot be pulled.
        WorkError: its pip does not list them.
    """
    dlc = base.variant.dlc
    if dlc is None:
        raise ToolkitError(
            f"{base.name} is no Deep Learning Container.", "`./build.py list` shows which are."
        )
    reference = sources.reference(base.variant, base.digest)
    dlc_layer.ensure(reference, base.variant.platform)
    listed = docker.run_program(reference, "python", "-m", "pip", "list", "--format", "json")
    lines = sorted(_pinned(listed, reference))
    path = base.folder / "packages" / f"{dlc.packages or base.variant_name}.txt"
    head = (
        "# Python packages of the Deep Learning Container, so that the locks of images on it prefer these.\n"
    )
    head += f"# Of {dlc.repository}:{dlc.tag} on {today}; `./build.py bump --packages {base.name}`\n"
    path.write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def _pinned(listed: str, reference: str) -> Iterator[str]:
    try:
        for package in json.loads(listed):
            yield f"{package['name'].lower()}=={package['version']}"
    except (ValueError, KeyError, TypeError):
        raise WorkError(
            f"pip of {reference} lists no packages.", f"docker run --rm {reference} pip list"
        ) from None


def _reference(base: Image, sources: Sources) -> str:
    reference = sources.reference(base.variant)
    dlc_layer.log_in(reference)
    return reference
