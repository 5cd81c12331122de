"""Workflows for the user's own CI: a template of toolkit/data/ci, and a row for each image."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.building.images import ROOT, Image
from toolkit.errors import ToolkitError

_TEMPLATES = Path(__file__).parent.parent / "data" / "ci"
_PLACE = "[] # IMAGES"
# GitHub's runners have 14 GB to spare; an image and what it is built from take about twice its size.
LARGE_MB = 4000
# A local version, as PyTorch's without CUDA has, is on no public index.
_LOCAL = re.compile(r"^[a-z0-9._-]+==[^\s;\\]*\+[^\s;\\]+", re.MULTILINE)
_RUNNERS = {"linux/amd64": "ubuntu-24.04", "linux/arm64": "ubuntu-24.04-arm"}


@dataclass(frozen=True)
class Pipeline:
    """A kind of CI.

    Attributes:
        name: as `build.py ci` takes it, and of its template.
        path: where its file lies, from the root of the checkout.
    """

    name: str
    path: Path


PIPELINES = {
    "github": Pipeline("github", Path(".github/workflows/images.yml")),
    "codepipeline": Pipeline("codepipeline", Path("buildspec.yml")),
}


def usual_images(images: Mapping[str, Image]) -> list[Image]:
    """Those that need no region to be pulled from: what stands on the slim base."""
    return [image for image in images.values() if image.variant.base and image.base_kind == "slim"]


def make(pipeline: Pipeline, chosen: Sequence[Image], images: Mapping[str, Image], command: str) -> str:
    """The text of its file.

    Args:
        pipeline: which kind.
        chosen: the images that it builds, in this order.
        images: the matrix.
        command: what made it, for the first line.

    Raises:
        ToolkitError: an image for a platform on which this CI cannot build.
    """
    template = (_TEMPLATES / f"{pipeline.name}.yml").read_text(encoding="utf-8")
    before, _, after = template.partition(_PLACE)
    key = before.rpartition("\n")[2]
    indent = " " * (len(key) - len(key.lstrip()) + 2)
    rows = [_ROWS[pipeline.name](image, _wheels(image, images)) for image in chosen]
    # JSON is YAML, and quotes what needs it.
    lines = "".join(f"\n{indent}- {json.dumps(row)}" for row in rows)
    return (before.rstrip(" ") + lines + after).replace("COMMAND", command, 1)


def _wheels(image: Image, images: Mapping[str, Image]) -> str:
    """What the locks of an image, and of those below it, take from no public index; pip's words for it."""
    found: dict[str, None] = {}
    for one in (image, *(images[name] for name in image.bases)):
        if one.lock:
            text = (one.folder / "requirements" / f"{one.lock}.txt").read_text(encoding="utf-8")
            found |= dict.fromkeys(_LOCAL.findall(text))
    return " ".join(found)


def _github_row(image: Image, wheels: str) -> dict[str, Any]:
    large = image.variant.size_budget_mb > LARGE_MB
    runner = _RUNNERS[image.variant.platform]
    common = {"image": image.name, "python": image.python, "wheels": wheels}
    return {**common, "runner": runner, "large": large}


def _codepipeline_row(image: Image, wheels: str) -> dict[str, Any]:
    if image.variant.platform != "linux/amd64":
        raise ToolkitError(
            f"{image.name} is for {image.variant.platform}, and a batch builds on one kind of machine.",
            "./build.py remote builds it on ARM.",
        )
    variables = {"IMAGE": image.name, "PYTHON": image.python, "WHEELS": wheels}
    return {
        "identifier": image.name.replace("-", "_"),
        "env": {"privileged-mode": True, "variables": variables},
    }


_ROWS = {"github": _github_row, "codepipeline": _codepipeline_row}


def write(pipeline: Pipeline, text: str, root: Path = ROOT) -> Path:
    """Write its file; returns the path."""
    path = root / pipeline.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
