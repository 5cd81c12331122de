"""`build.py explain`: what an image is made of, where that is declared, and what it needs."""

from __future__ import annotations

import argparse
import json
import sys

from toolkit.building.base_options import add_base_options, sources_of

HELP = "What an image is made of, where that is declared, and what it needs."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("image", metavar="IMAGE", help="such as ensemble-cpu; `list` shows all")
    add_base_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Print the facts."""
    from toolkit.building import explain
    from toolkit.building.images import find, matrix, on_base

    image = find(arguments.image)
    if arguments.base:
        image = on_base(image, arguments.base, matrix())
    facts = explain.explain(image, matrix(), sources_of(arguments))
    if arguments.json:
        json.dump(facts, sys.stdout, indent=2)
        print()
        return 0
    print("\n".join(explain.as_text(facts)))
    return 0
