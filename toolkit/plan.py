"""What will be built, in which order, and why: data, made without touching Docker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from toolkit.images import Image


@dataclass(frozen=True)
class Step:
    """One image of a plan.

    Attributes:
        image: what is built.
        reason: why it is in the plan.
        asked: True where the user named it, False where another image needs it.
    """

    image: Image
    reason: str
    asked: bool


def make_plan(names: Sequence[str], images: Mapping[str, Image]) -> list[Step]:
    """The images to build for `names`, each after the one that it stands on.

    Args:
        names: keys of `images`.
        images: the matrix.
    """
    steps: dict[str, Step] = {}
    for name in names:
        chain = _chain(images[name], images)
        for image, above in zip(chain, [*chain[1:], None], strict=True):
            asked = image.name in names
            reason = "asked for" if asked else f"{above.name} is built on it" if above else ""
            steps.setdefault(image.name, Step(image, reason, asked))
    return list(steps.values())


def _chain(image: Image, images: Mapping[str, Image]) -> list[Image]:
    """From the lowest base up to `image`."""
    base = image.variant.base
    return [*(_chain(images[base], images) if base else []), image]
