"""`build.py build`: images, with everything they stand on."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.building.base_options import add_base_options, sources_of

if TYPE_CHECKING:
    from toolkit.building.plan import Step
    from toolkit.building.sources import Sources

HELP = "Build images, with the bases they stand on."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="such as ensemble-cpu; `list` shows all")
    add_base_options(parser)
    parser.add_argument(
        "--registry-cache",
        metavar="REFERENCE",
        help="a pushed image whose layers are pulled where nothing of them has changed; {image}: the name",
    )
    parser.add_argument(
        "--local-cache",
        metavar="DIR",
        help="keeps the build cache, for machines that come and go; of engines with images in containerd",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be built and why, and stop")
    parser.add_argument("--no-cache", action="store_true", help="build all anew, even what is up to date")
    parser.add_argument(
        "--check-reproducible",
        action="store_true",
        help="build twice without a cache, and compare the layers, then their files",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Plan, build, and say what came out."""
    from toolkit.building import builder, plan_view
    from toolkit.building.plan import plan_on_base

    sources = sources_of(arguments)
    steps = plan_on_base(arguments.images, arguments.base)
    if arguments.dry_run:
        plan_view.show(steps, sources, as_json=arguments.json)
        return 0
    for step in steps:
        if step.note:
            print(step.note, file=sys.stderr)
    if arguments.check_reproducible:
        return _check_reproducible(steps, sources)
    watch = builder.Stopwatch()
    asked = [step.image.name for step in steps if step.asked]
    caches = [arguments.registry_cache.replace("{image}", name) for name in asked if arguments.registry_cache]
    folder = Path(arguments.local_cache) if arguments.local_cache else None
    surroundings = builder.look_around(sources, caches, folder)
    built = builder.execute(steps, surroundings, no_cache=arguments.no_cache)
    if arguments.json:
        json.dump({"images": [asdict(one) for one in built]}, sys.stdout, indent=2)
        print()
        return 0
    for one in built:
        if one.name in asked and one.is_new:
            print(f"Built {one.image} ({one.size_mb:.0f} MB of {one.budget_mb}) in {watch}")
        elif one.name in asked:
            print(f"{one.image} is up to date ({one.size_mb:.0f} MB of {one.budget_mb}); seen in {watch}")
        if one.name in asked and one.inference_ami_version:
            print(f"Its endpoints need InferenceAmiVersion {one.inference_ami_version}")
    return 0


def _check_reproducible(steps: Sequence[Step], sources: Sources) -> int:
    """Two builds of the images that were asked for; 1 where a layer differs."""
    from toolkit.building import builder
    from toolkit.building.reproducibility import compare, kept

    references = [step.image.reference for step in steps if step.asked]
    surroundings = builder.look_around(sources)
    builder.execute(steps, surroundings, no_cache=True)
    with kept(references) as first:
        builder.execute(steps, surroundings, no_cache=True)
        comparisons = [compare(*pair) for pair in zip(first, references, strict=True)]
    for reference, comparison in zip(references, comparisons, strict=True):
        print(f"{reference}: {comparison}")
    return int(any(comparison.files for comparison in comparisons))
