"""What will be built, in which order, and why: data, made without touching Docker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from toolkit.building.images import FILE, Image, find, matrix, on_base, shown
from toolkit.errors import ToolkitError

NOTICE = timedelta(days=60)  # for which the end of support is told beforehand


@dataclass(frozen=True)
class Step:
    """One image of a plan.

    Attributes:
        image: what is built.
        reason: why it is in the plan.
        asked: True where the user named it, False where another image needs it.
        note: what is to be known of a base whose support ends soon, or has ended, and of an image that only a
            part of SageMaker runs; empty otherwise.
    """

    image: Image
    reason: str
    asked: bool
    note: str = ""


def make_plan(names: Sequence[str], images: Mapping[str, Image], today: date | None = None) -> list[Step]:
    """The images to build for `names`, each after the one that it stands on.

    Args:
        names: keys of `images`.
        images: the matrix.
        today: the day to go by; None for that of the clock.

    Raises:
        ToolkitError: the support of a base has ended, and nobody has acknowledged it for today.
    """
    steps: dict[str, Step] = {}
    for name in names:
        chain = chain_of(images[name], images)
        for image, above in zip(chain, [*chain[1:], None], strict=True):
            asked = image.name in names
            notes = [_check_support(image, today or datetime.now(UTC).date()), _where_it_runs(image, asked)]
            reason = "asked for" if asked else f"{above.name} is built on it" if above else ""
            steps.setdefault(image.name, Step(image, reason, asked, " ".join(filter(None, notes))))
    return list(steps.values())


def plan_on_base(names: Sequence[str], base: str | None) -> list[Step]:
    """The plan for images of this checkout.

    Args:
        names: images; none for all that stand on another.
        base: the kind or the name of the base to put them on; None for the one that their names say.

    Raises:
        ToolkitError: an unknown image, a base that it is not declared for, or one whose support has ended.
    """
    images = dict(matrix())
    chosen = [find(name) for name in names] or [one for one in images.values() if one.variant.base]
    if base is not None:
        chosen = [on_base(image, base, images) for image in chosen]
    images |= {image.name: image for image in chosen}
    return make_plan([image.name for image in chosen], images)


def _where_it_runs(image: Image, asked: bool) -> str:
    """What not all of SageMaker runs, in words (IMG-06, IMG-07)."""
    if asked and image.variant.platform == "linux/arm64":
        return f"{image.name} is for endpoints on Graviton alone: jobs run on linux/amd64."
    return ""


def _check_support(image: Image, today: date) -> str:
    """What is to be known of the support of a base, in words; empty for nothing."""
    end, acknowledged = image.variant.end_of_support, image.variant.acknowledged
    if end is None or today + NOTICE <= end:
        return ""
    if today <= end:
        return f"The support of {image.name} ends on {end}, in {(end - today).days} days."
    if acknowledged is not None and today <= acknowledged.until:
        said = f"acknowledged until {acknowledged.until}: {acknowledged.reason}"
        return f"The support of {image.name} ended on {end}; {said}"
    place = f"{shown(image.folder / FILE)}: [variants.{image.variant_name}]"
    again = f", and its acknowledgement on {acknowledged.until}" if acknowledged else ""
    raise ToolkitError(
        f"The support of {image.name} ended on {end}{again}: its security holes are mended no more.",
        f'Move to a newer base, or say in {place} acknowledged = {{ until = DATE, reason = "..." }}.',
    )


def chain_of(image: Image, images: Mapping[str, Image]) -> list[Image]:
    """From the lowest base up to `image`."""
    base = image.variant.base
    return [*(chain_of(images[base], images) if base else []), image]
