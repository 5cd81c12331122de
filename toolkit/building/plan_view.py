"""A plan as a person or a program reads it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from toolkit.building import host_amis
from toolkit.building.images import Image, tag_of
from toolkit.building.plan import Step
from toolkit.building.sources import MissingRegionError, Sources


def show(steps: Sequence[Step], sources: Sources, *, as_json: bool) -> None:
    """Print the steps in their order, each with its reason, what it is made from and its tag."""
    rows = [describe(step, sources) for step in steps]
    if as_json:
        json.dump({"plan": rows}, sys.stdout, indent=2)
        print()
        return
    for number, row in enumerate(rows, 1):
        print(f"{number:>2}. {row['image']}  ({row['reason']})")
        print(f"      from  {row['from']}")
        if row["note"]:
            print(f"      {row['note']}")
        if row["lock"]:
            print(f"      with  {row['lock']}")
        if row["end_of_support"]:
            print(f"      supported until {row['end_of_support']}")
        if row["end_of_life"]:
            print(f"      end of life: {row['end_of_life']}")
        if row["inference_ami_version"]:
            print(f"      CUDA {row['cuda']}: endpoints need InferenceAmiVersion")
            print(f"            {row['inference_ami_version']}")


def describe(step: Step, sources: Sources) -> dict[str, Any]:
    """One step as the JSON of `plan --json` has it."""
    image = step.image
    end = image.end_of_support
    return {
        "name": image.name,
        "image": image.reference,
        "reason": step.reason,
        "from": _source(image, sources),
        "platform": image.variant.platform,
        "lock": f"requirements/{image.lock}.txt" if image.lock else None,
        "cuda": image.cuda,
        "inference_ami_version": host_amis.realtime(image.cuda) if image.cuda else None,
        "note": step.note,
        "end_of_support": end.isoformat() if end and image.variant.base is None else None,
        "end_of_life": image.end_of_life,
    }


def _source(image: Image, sources: Sources) -> str:
    variant = image.variant
    if variant.base is not None:
        return variant.base
    try:
        reference = sources.reference(variant, image.digest)
    except MissingRegionError:  # a plan of all images is no reason to name a region
        return f"{tag_of(variant)} of the region's registry (--region)"
    return f"{reference}, or debootstrap {variant.os.release}" if variant.os else reference
