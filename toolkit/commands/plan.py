"""`build.py plan`: what would be built, in which order, why, from and to which tags."""

from __future__ import annotations

import argparse

from toolkit.building.base_options import add_base_options, sources_of

HELP = "What would be built, in which order, why, from and to which tags."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="such as ensemble-cpu; none: all")
    add_base_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Plan, and print the steps; nothing is built."""
    from toolkit.building import plan_view
    from toolkit.building.plan import plan_on_base

    plan_view.show(
        plan_on_base(arguments.images, arguments.base), sources_of(arguments), as_json=arguments.json
    )
    return 0
