"""Is an image what a build would make now? Its entry in the ledger, beside what the checkout holds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from toolkit.building.bake import Surroundings, make_definition
from toolkit.building.images import ROOT, Image, matrix
from toolkit.building.ledger import entries
from toolkit.building.ledger.entries import Entry
from toolkit.building.ledger.inputs import inputs_of
from toolkit.building.plan import Step
from toolkit.building.sources import Sources
from toolkit.errors import ToolkitError
from toolkit.machine import docker, network
from toolkit.machine.docker import LocalImage

Condition = Literal["fresh", "stale", "not built", "unknown"]


@dataclass(frozen=True)
class State:
    """One image of the matrix, as it is in the engine.

    Attributes:
        image: which.
        condition: `unknown` where the engine has it, but the ledger does not say what it was made of.
        entry: what the ledger says of it.
        changes: why it is stale, one line each: `changed: containers/base/Dockerfile`.
        inputs: what a build of it would see now.
    """

    image: Image
    condition: Condition
    entry: Entry | None
    changes: tuple[str, ...]
    inputs: Mapping[str, str]

    @property
    def is_fresh(self) -> bool:
        """True where a build would make the same again."""
        return self.condition == "fresh"


def states(images: Iterable[Image]) -> list[State]:
    """The state of each of `images`.

    Raises:
        ToolkitError: a Dockerfile or an entry of the ledger cannot be read.
    """
    images = list(images)
    # Those of the matrix, for what they stand on; the given ones before them, for one may be on another base.
    known = {**matrix(), **{image.name: image for image in images}}
    definition = neutral_definition(known.values())
    present = docker.local_images([*_references(definition)])
    return [_state(image, definition, present) for image in images]


def built_entry(image: Image) -> Entry:
    """The entry of an image that was built here, fresh or stale.

    Raises:
        ToolkitError: it is not built, or not by this checkout.
    """
    [state] = states([image])
    if state.entry is None:
        cause = "was built elsewhere" if state.condition == "unknown" else "is not built"
        raise ToolkitError(f"{image.name} {cause}.", f"./build.py build {image.name}")
    return state.entry


def neutral_definition(images: Iterable[Image]) -> dict[str, Any]:
    """The bake definition of `images`, as it would be on any machine: a mirror of a base is no other base.

    Weights that are to be baked in are content, wherever they lie.

    Raises:
        ToolkitError: PRETRAINED names something that is not a folder.
    """
    anywhere = Surroundings(weights=network.find_weights(), sources=Sources(registry="registry"))
    return make_definition([Step(image, "", True) for image in images], anywhere)


def _state(image: Image, definition: Mapping[str, Any], present: Mapping[str, LocalImage]) -> State:
    layers = {reference: local.layers for reference, local in present.items()}
    inputs = inputs_of(image.name, definition, ROOT, layers.get)
    local = present.get(image.reference)
    if local is None:
        return State(image, "not built", None, (), inputs)
    entry = entries.read(image.name, local.digest)
    if entry is None:
        return State(image, "unknown", None, (), inputs)
    changes = (*input_changes(entry.inputs, inputs), *_base_changes(image, entry, layers))
    return State(image, "stale" if changes else "fresh", entry, changes, inputs)


def input_changes(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """What differs between two sets of inputs: `changed: NAME`, `new: NAME`, `gone: NAME`."""
    for name in sorted(before.keys() | now.keys()):
        if name not in now:
            yield f"gone: {name}"
        elif name not in before:
            yield f"new: {name}"
        elif before[name] != now[name]:
            yield f"changed: {name}"


def _base_changes(image: Image, entry: Entry, layers: Mapping[str, str]) -> Iterator[str]:
    base = image.variant.base
    if base is None:
        return
    now = layers.get(matrix()[base].reference)
    if now is None:
        yield f"{base} is not built"
    elif now != entry.base:
        yield f"{base} was built anew since"


def _references(definition: Mapping[str, Any]) -> Iterator[str]:
    """Every image that the targets make or stand on."""
    for target in definition["target"].values():
        yield from target.get("tags", [])
        for context in target.get("contexts", {}).values():
            if context.startswith("docker-image://"):
                yield context.removeprefix("docker-image://")


def part_of(files: Iterable[Path], found: Iterable[State]) -> dict[str, tuple[str, ...]]:
    """Image name to those of `files` that a build of it sees; images that see none are left out.

    Raises:
        ToolkitError: a file lies outside of the checkout.
    """
    names = {_in_checkout(file) for file in files}
    return {
        state.image.name: tuple(sorted(names & state.inputs.keys()))
        for state in found
        if names & state.inputs.keys()
    }


def _in_checkout(file: Path) -> str:
    # Not resolved: a link is a file of its own, and one that is gone may have been part of an image.
    path = Path(os.path.normpath(Path.cwd() / file))
    if not path.is_relative_to(ROOT):
        raise ToolkitError(f"{file} is no file of this checkout.", f"cd {ROOT}")
    return path.relative_to(ROOT).as_posix()
