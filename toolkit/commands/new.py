"""`build.py new`: a family of images of one's own."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.building.schema import BaseKind

HELP = "Make a family of images of your own, which builds, trains and serves as it is."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("name", metavar="NAME", help="such as forest; its image is forest-cpu")
    parser.add_argument(
        "--from",
        dest="base",
        choices=("slim", "dlc", "both"),
        default="both",
        help="the bases it is for: Debian, AWS Deep Learning Container (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the folder, and say what comes next."""
    from toolkit.building import scaffold
    from toolkit.building.images import shown

    kinds: tuple[BaseKind, ...] = ("slim", "dlc") if arguments.base == "both" else (arguments.base,)
    for path in scaffold.make_family(arguments.name, kinds):
        print(shown(path))
    image = f"{arguments.name}-cpu" if "slim" in kinds else f"{arguments.name}-cpu-dlc"
    print(f"\n  ./build.py build {image}")
    print(f"  ./build.py train {image} --channel train=FOLDER")
    print("  ./build.py generate      # the README's table of images")
    print(f"\nThe algorithm is in containers/{arguments.name}/algorithm; its README says what to change.")
    return 0
