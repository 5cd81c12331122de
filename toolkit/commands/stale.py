"""`build.py stale`: the images that a build would make anew, and what has changed."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

HELP = "Name the images that are stale and why, or those that a file is part of."
_SHOWN = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--touched",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="name the images that these files are part of, whatever is built",
    )
    parser.add_argument("--json", action="store_true", help="a JSON object: image to what has changed")


def run(arguments: argparse.Namespace) -> int:
    """One line an image, and what has changed below it."""
    from toolkit.building import images
    from toolkit.building.ledger.freshness import part_of, states

    found = states(images.matrix().values())
    if arguments.touched:
        changes = part_of(arguments.touched, found)
    else:
        changes = {state.image.name: state.changes for state in found if state.condition == "stale"}
    if arguments.json:
        json.dump(changes, sys.stdout, indent=2)
        print()
        return 0
    for name, lines in changes.items():
        print(name)
        for line in lines[:_SHOWN]:
            print(f"  {line}")
        if len(lines) > _SHOWN:
            print(f"  and {len(lines) - _SHOWN} more (--json lists all)")
    if not changes:
        print("No image holds any of them." if arguments.touched else "No image that is built is stale.")
    return 0
