"""Everything that the matrix says of one image, and where it says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolkit.building import host_amis
from toolkit.building.images import FILE, Image, shown, tag_of
from toolkit.building.locks import brought_by_base, pins
from toolkit.building.sources import MissingRegionError, Sources
from toolkit.building.toml_lines import line_of


def explain(image: Image, images: Mapping[str, Image], sources: Sources) -> dict[str, Any]:
    """The facts of an image, as `explain --json` prints them; None where one does not apply.

    Args:
        image: of the matrix.
        images: the matrix.
        sources: where bases would be pulled from.
    """
    path = image.folder / FILE
    line = line_of(path.read_text(encoding="utf-8"), ("variants", image.variant_name))
    end = image.end_of_support
    return {
        "name": image.name,
        "image": image.reference,
        "summary": image.summary,
        "declared": f"{shown(path)}:{line}",
        "dockerfile": str(shown(image.folder / "Dockerfile")),
        "platform": image.variant.platform,
        "python": image.python,
        "base_kind": image.base_kind,
        "bases": list(image.bases),
        "pulled": _pulled(images[image.bases[-1]] if image.bases else image, sources),
        "end_of_support": end.isoformat() if end else None,
        "end_of_life": image.end_of_life,
        "lock": _lock(image),
        "cuda": image.cuda,
        "inference_ami_version": host_amis.realtime(image.cuda) if image.cuda else None,
        "size_budget_mb": image.variant.size_budget_mb,
        "labels": dict(image.labels),
    }


def as_text(facts: Mapping[str, Any]) -> list[str]:
    """The same for people, a fact a line."""
    lock, pulled = facts["lock"], facts["pulled"]
    lines = [
        facts["summary"],
        "",
        f"image       {facts['image']}",
        f"declared    {facts['declared']}",
        f"built by    {facts['dockerfile']}",
        f"stands on   {' on '.join([*facts['bases'], pulled['reference']])}",
        f"pinned      {'yes' if pulled['digest'] else 'no: by its tag (`./build.py bump` pins it)'}",
        f"supported   until {facts['end_of_support']}",
        f"platform    {facts['platform']}, Python {facts['python']}",
        f"at most     {facts['size_budget_mb']} MB",
    ]
    if facts["end_of_life"]:
        lines.append(f"end of life {facts['end_of_life']}")
    if lock:
        brought = (
            f", {lock['brought_by_base']} of them brought by the base" if facts["base_kind"] == "dlc" else ""
        )
        lines.append(f"packages    {lock['packages']} of {lock['file']}{brought}")
    if facts["cuda"]:
        lines.append(f"CUDA        {facts['cuda']}: endpoints need InferenceAmiVersion")
        lines.append(f"            {facts['inference_ami_version']}")
    for number, (name, value) in enumerate(facts["labels"].items()):
        lines.append(f"{'labels' if not number else '':12}{name}={value}")
    return lines


def _pulled(base: Image, sources: Sources) -> dict[str, str | None]:
    try:
        reference = sources.reference(base.variant)
    except MissingRegionError:  # the region is the build's to know
        reference = tag_of(base.variant)
    return {"reference": reference, "digest": base.digest}


def _lock(image: Image) -> dict[str, Any] | None:
    if image.lock is None:
        return None
    path = image.folder / "requirements" / f"{image.lock}.txt"
    return {
        "file": str(shown(path)),
        "packages": len(pins(path)),
        "brought_by_base": len(brought_by_base(image)),
    }
