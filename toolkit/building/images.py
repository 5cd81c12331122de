"""The image matrix, read from containers/*/image.toml: one folder a family, one table a variant.

The names are made, never typed: family `ensemble` with variant `cpu` is the image `ensemble-cpu`, locally
`opt-ml/ensemble-cpu:latest`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from toolkit.errors import ToolkitError
from toolkit.namespace import LOCAL_NAMESPACE

ROOT = Path(__file__).resolve().parent.parent.parent
CONTAINERS = ROOT / "containers"

Platform = Literal["linux/amd64", "linux/arm64"]  # IMG-06, IMG-07


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OperatingSystem(_Strict):
    """Where the lowest layer of a base comes from."""

    image: Annotated[str, Field(description="Image to pull where a registry answers.")]
    release: Annotated[str, Field(description="Debian release that debootstrap makes where none does.")]


class Acknowledgement(_Strict):
    """Why a base is still used although nobody mends it any more, and how long that holds."""

    until: Annotated[date, Field(description="Last day on which it is built.")]
    reason: Annotated[str, Field(min_length=1, description="One line.")]


class Variant(_Strict):
    """One image of a family."""

    platform: Annotated[
        Platform, Field(description="SageMaker runs linux/amd64, and arm64 on Graviton endpoints.")
    ]
    size_budget_mb: Annotated[int, Field(gt=0, description="Largest unpacked size in MB (1,000,000 bytes).")]
    base: Annotated[str | None, Field(description="Name of the image it is built on.")] = None
    os: Annotated[OperatingSystem | None, Field(description="For a base: its operating system layer.")] = None
    end_of_support: Annotated[
        date | None, Field(description="For a base: last day on which its security holes are mended.")
    ] = None
    acknowledged: Annotated[
        Acknowledgement | None, Field(description="For a base whose support has ended: it is built still.")
    ] = None
    requirements: Annotated[str | None, Field(description="Lock in requirements/, without `.txt`.")] = None


class Family(_Strict):
    """A folder of containers/ and its image.toml."""

    summary: Annotated[str, Field(description="What the image is for, one line.")]
    variants: Annotated[dict[str, Variant], Field(min_length=1, description="Variant name to variant.")]
    labels: Annotated[dict[str, str], Field(description="Image labels of every variant.")] = {}


class Image(_Strict):
    """One buildable image: a family's folder and one of its variants."""

    name: str
    folder: Path
    summary: str
    labels: dict[str, str]
    variant: Variant

    @property
    def reference(self) -> str:
        """The local image reference."""
        return f"{LOCAL_NAMESPACE}/{self.name}:latest"


def load(containers: Path = CONTAINERS) -> Mapping[str, Image]:
    """All images by name, bases first, then in the order of their names.

    Raises:
        ToolkitError: every error of every image.toml, each with its file and key.
    """
    problems: list[str] = []
    images: dict[str, Image] = {}
    for path in sorted(containers.glob("*/image.toml")):
        try:
            family = Family.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except tomllib.TOMLDecodeError as error:
            problems.append(f"{path}: {error}")
        except ValidationError as error:
            problems += [f"{path}: {_describe(problem)}" for problem in error.errors()]
        else:
            images |= _images_of(path.parent, family)
    for image in images.values():
        problems += _wrong_base(image, images)
    if problems:
        raise ToolkitError("the image matrix has errors:\n  " + "\n  ".join(problems))
    return dict(sorted(images.items(), key=lambda item: (item[1].variant.base is not None, item[0])))


@cache
def matrix() -> Mapping[str, Image]:
    """The matrix of this checkout."""
    return load()


def find(name: str) -> Image:
    """The image called `name`.

    Raises:
        ToolkitError: there is none; names the nearest.
    """
    images = matrix()
    if name in images:
        return images[name]
    nearest = get_close_matches(name, images, n=1)
    hint = f"Did you mean {nearest[0]}? " if nearest else ""
    raise ToolkitError(f"there is no image called {name!r}.", f"{hint}`./build.py list` shows all.")


def end_of_support(image: Image) -> date | None:
    """The day on which the support of an image's lowest base ends; None where nobody has said it."""
    while image.variant.base is not None:
        image = find(image.variant.base)
    return image.variant.end_of_support


def local_reference(name: str) -> str:
    """The reference of one of our images by its name; any other reference (with `/` or `:`) as it is.

    Raises:
        ToolkitError: a bare name that is none of ours.
    """
    return name if "/" in name or ":" in name else find(name).reference


def _images_of(folder: Path, family: Family) -> dict[str, Image]:
    return {
        f"{folder.name}-{variant_name}": Image(
            name=f"{folder.name}-{variant_name}",
            folder=folder,
            summary=family.summary,
            labels=family.labels,
            variant=variant,
        )
        for variant_name, variant in family.variants.items()
    }


def _wrong_base(image: Image, images: Mapping[str, Image]) -> list[str]:
    variant = image.variant
    place = f"{image.folder / 'image.toml'}: {image.name}"
    if (variant.base is None) == (variant.os is None):
        return [f"{place} needs either `base` or `os`"]
    if variant.os is not None and variant.end_of_support is None:
        return [f"{place} is a base and needs `end_of_support`, such as 2028-06-30"]
    if variant.base is not None and variant.base not in images:
        nearest = get_close_matches(variant.base, images, n=1)
        return [
            f"{place}: base {variant.base!r} is no image" + (f"; nearest: {nearest[0]}" if nearest else "")
        ]
    return []


def _describe(problem: Any) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = {
            *Family.model_fields,
            *Variant.model_fields,
            *OperatingSystem.model_fields,
            *Acknowledgement.model_fields,
        }
        nearest = get_close_matches(str(problem["loc"][-1]), known, n=1)
        return f"{key}: unknown key" + (f"; nearest: {nearest[0]}" if nearest else "")
    return f"{key}: {problem['msg']}"
