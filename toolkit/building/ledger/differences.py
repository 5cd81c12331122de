"""What differs between two built images: packages, layers, environment, labels, size, inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from toolkit.building.ledger.entries import Entry, Package
from toolkit.building.ledger.freshness import input_changes


@dataclass(frozen=True)
class Change:
    """One name whose value differs; None on the side that does not have it."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Difference:
    """From one image to another.

    Attributes:
        size_bytes: how much larger the second is, unpacked.
        same_layers: how many layers, from the lowest, both share.
        removed_layers, added_layers: (instruction, bytes) of those above.
        packages, environment, labels: what differs, by name.
        inputs: what a build of them saw: `changed: NAME`, `new: NAME`, `gone: NAME`.
    """

    size_bytes: int
    same_layers: int
    removed_layers: tuple[tuple[str, int], ...]
    added_layers: tuple[tuple[str, int], ...]
    packages: tuple[Change, ...]
    environment: tuple[Change, ...]
    labels: tuple[Change, ...]
    inputs: tuple[str, ...]


def difference(
    before: Entry, after: Entry, before_packages: list[Package], after_packages: list[Package]
) -> Difference:
    """From `before` to `after`; the packages are those of `toolkit.building.ledger.packages`."""
    same = 0
    for one, other in zip(before.layers, after.layers, strict=False):
        if one.diff_id != other.diff_id:
            break
        same += 1
    return Difference(
        size_bytes=after.size_bytes - before.size_bytes,
        same_layers=same,
        removed_layers=tuple((layer.step, layer.size_bytes) for layer in before.layers[same:]),
        added_layers=tuple((layer.step, layer.size_bytes) for layer in after.layers[same:]),
        packages=_changes(_versions(before_packages), _versions(after_packages)),
        environment=_changes(before.environment, after.environment),
        labels=_changes(before.labels, after.labels),
        inputs=tuple(input_changes(before.inputs, after.inputs)),
    )


def _versions(packages: list[Package]) -> dict[str, str]:
    return {f"{package.manager} {package.name}": package.version for package in packages}


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Change, ...]:
    return tuple(
        Change(name, before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    )
