"""`build.py graph`: which image stands on which."""

from __future__ import annotations

import argparse
import json
import sys

HELP = "Which image stands on which."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", action="store_true", help="a JSON object: image to the images on it")


def run(arguments: argparse.Namespace) -> int:
    """Print a tree, from the bases up."""
    from toolkit.building.graph import children, tree
    from toolkit.building.images import matrix

    if arguments.json:
        json.dump(children(matrix()), sys.stdout, indent=2)
        print()
        return 0
    print("\n".join(tree(matrix())))
    return 0
