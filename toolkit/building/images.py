"""The image matrix, read from containers/*/image.toml: one folder a family, one table a variant.

The names are made, never typed: family `ensemble` with variant `cpu` is the image `ensemble-cpu`, locally
`opt-ml/ensemble-cpu:latest`. The same on another kind of base is the variant `cpu-dlc`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from toolkit.building import declarations, digests
from toolkit.building.declarations import CONTAINERS, FILE, ROOT, TEMPLATE_FILE, Declaration, shown
from toolkit.building.schema import BaseKind, Variant
from toolkit.errors import ToolkitError
from toolkit.namespace import LOCAL_NAMESPACE

__all__ = [
    "CONTAINERS",
    "FILE",
    "ROOT",
    "TEMPLATE_FILE",
    "Image",
    "find",
    "load",
    "local_reference",
    "matrix",
    "on_base",
    "shown",
    "tag_of",
]


class Image(BaseModel):
    """One buildable image: a family's folder and one of its variants.

    Attributes:
        name: family and variant, such as `ensemble-cpu`.
        folder: the family's.
        summary: what it is for, one line.
        end_of_life: what in it nobody mends any more, and what to use instead; None for what is mended.
        labels: of the image, as the family declares them.
        variant: as declared.
        variant_name: its key in image.toml.
        bases: the images below it, the next one first.
        lowest: the variant of the lowest of them (its own for a base), which says where layers, Python and
            support come from.
        cuda: CUDA of the image's libraries, such as `13.0`; None for an image without.
        digest: for a base: the content to pull, where that is locked.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    folder: Path
    summary: str
    end_of_life: str | None
    labels: dict[str, str]
    variant: Variant
    variant_name: str
    bases: tuple[str, ...]
    lowest: Variant
    cuda: str | None
    digest: str | None

    @property
    def reference(self) -> str:
        """The local image reference."""
        return f"{LOCAL_NAMESPACE}/{self.name}:latest"

    @property
    def base_kind(self) -> BaseKind:
        """What the lowest base is: an operating system (`slim`) or a Deep Learning Container (`dlc`)."""
        return "dlc" if self.lowest.dlc else "slim"

    @property
    def python(self) -> str:
        """Version of the image's Python, such as `3.11`."""
        below = self.lowest.dlc or self.lowest.os
        assert below is not None  # noqa: S101 - `load` refuses others
        return below.python

    @property
    def end_of_support(self) -> date | None:
        """The day on which the support of the lowest base ends."""
        return self.lowest.end_of_support

    @property
    def lock(self) -> str | None:
        """Stem of the lock in requirements/: one for each kind of base, which has its Python and packages."""
        stem = self.variant.requirements
        return stem if stem is None or self.base_kind == "slim" else f"{stem}-{self.base_kind}"


def load(containers: Path = CONTAINERS, files: Sequence[str] = (FILE,)) -> Mapping[str, Image]:
    """All images by name, bases first, then in the order of their names.

    Args:
        containers: the folder of the families.
        files: names of the declarations in them.

    Raises:
        ToolkitError: every error of every image.toml, each with its file, line and key.
    """
    declared = declarations.read(containers, files)
    images = {name: _image(name, declared) for name in declared}
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


def on_base(image: Image, base: str, images: Mapping[str, Image]) -> Image:
    """The same image on another base.

    Args:
        image: of the matrix.
        base: `slim`, `dlc`, or the name of a base of the matrix, such as `dlc-autogluon15-cpu`.
        images: the matrix.

    Raises:
        ToolkitError: the family does not declare it.
    """
    named = images.get(base)
    kind = named.base_kind if named else base
    stem = image.variant_name.removesuffix(f"-{image.base_kind}")
    sisters = [
        one
        for one in images.values()
        if one.folder == image.folder
        and one.base_kind == kind
        and one.variant_name in (stem, f"{stem}-{kind}")
    ]
    if not sisters or (named is not None and named.variant.base is not None):
        kinds = sorted({one.base_kind for one in images.values() if one.folder == image.folder})
        raise ToolkitError(
            f"{image.name} is not declared for the base {base!r}.",
            f"It has {' and '.join(kinds)}; {shown(image.folder / FILE)} declares them.",
        )
    if named is None:
        return sisters[0]
    if named.python != sisters[0].python:
        raise ToolkitError(
            f"{base} has Python {named.python}; the lock of {sisters[0].name} is for {sisters[0].python}.",
            f"Declare a variant of its own in {shown(image.folder / FILE)}.",
        )
    changed = sisters[0].variant.model_copy(update={"base": base})
    cuda = changed.cuda or named.cuda
    below = {"bases": (base,), "lowest": named.variant, "cuda": cuda}
    return sisters[0].model_copy(update={"variant": changed, **below})


def local_reference(name: str) -> str:
    """The reference of one of our images by its name; any other reference (with `/` or `:`) as it is.

    Raises:
        ToolkitError: a bare name that is none of ours.
    """
    return name if "/" in name or ":" in name else find(name).reference


def _image(name: str, declared: Mapping[str, Declaration]) -> Image:
    own = lowest = declared[name]
    bases: list[str] = []
    cuda = own.variant.cuda
    while lowest.variant.base is not None:
        bases.append(lowest.variant.base)
        lowest = declared[lowest.variant.base]
        cuda = cuda or lowest.variant.cuda
    pin = digests.read(own.path.parent).get(own.variant_name)
    return Image(
        name=name,
        folder=own.path.parent,
        summary=own.family.summary,
        end_of_life=own.family.end_of_life,
        labels=own.family.labels,
        variant=own.variant,
        variant_name=own.variant_name,
        bases=tuple(bases),
        lowest=lowest.variant,
        cuda=cuda,
        digest=pin.digest if pin and pin.tag == tag_of(own.variant) else None,
    )


def tag_of(base: Variant) -> str:
    """What is pulled for a base, without the registry: `pytorch:2.13-cpu-amzn2023-sagemaker`."""
    if base.dlc is not None:
        return f"{base.dlc.repository}:{base.dlc.tag}"
    assert base.os is not None  # noqa: S101 - `load` refuses others
    return base.os.image
