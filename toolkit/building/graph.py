"""The images as a graph, whose edges are their bases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from toolkit.building.images import Image, tag_of


def children(images: Mapping[str, Image]) -> dict[str, list[str]]:
    """Each image's name, and those of the images that stand on it."""
    return {name: sorted(one.name for one in images.values() if one.variant.base == name) for name in images}


def tree(images: Mapping[str, Image]) -> Iterator[str]:
    """Lines of a tree, from what is pulled up to what stands on everything else."""
    above = children(images)
    for image in images.values():
        if image.variant.base is None:
            yield f"{image.name}  (on {tag_of(image.variant)})"
            yield from _branches(image.name, above, "")


def _branches(name: str, above: Mapping[str, list[str]], indent: str) -> Iterator[str]:
    for number, child in enumerate(above[name], 1):
        last = number == len(above[name])
        yield f"{indent}{'└─' if last else '├─'} {child}"
        yield from _branches(child, above, f"{indent}{'   ' if last else '│  '}")
