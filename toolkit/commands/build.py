"""`build.py build`: images, with everything they stand on."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

HELP = "Build images, with the bases they stand on."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="such as ensemble-cpu; `list` shows all")
    parser.add_argument("--dry-run", action="store_true", help="say what would be built and why, and stop")
    parser.add_argument("--no-cache", action="store_true", help="build every step anew")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Plan, build, and say what came out."""
    from toolkit.building import builder, images
    from toolkit.building.plan import make_plan

    names = [images.find(name).name for name in arguments.images]
    steps = make_plan(names, images.matrix())
    if arguments.dry_run:
        return _show_plan(steps, arguments.json)
    watch = builder.Stopwatch()
    built = builder.execute(steps, builder.look_around(), no_cache=arguments.no_cache)
    if arguments.json:
        json.dump({"images": [asdict(one) for one in built]}, sys.stdout, indent=2)
        print()
        return 0
    for one in built:
        if one.name in names:
            print(f"Built {one.image} ({one.size_mb:.0f} MB of {one.budget_mb}) in {watch}")
    return 0


def _show_plan(steps: list, as_json: bool) -> int:  # type: ignore[type-arg]
    if as_json:
        plan = [
            {"name": step.image.name, "image": step.image.reference, "reason": step.reason} for step in steps
        ]
        json.dump({"plan": plan}, sys.stdout, indent=2)
        print()
        return 0
    for number, step in enumerate(steps, 1):
        variant = step.image.variant
        below = variant.base or (
            f"{variant.os.image}, or debootstrap {variant.os.release}" if variant.os else ""
        )
        print(f"{number}. {step.image.reference:30} {step.reason}; on {below}")
    return 0
