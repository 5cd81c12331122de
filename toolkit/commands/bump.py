"""`build.py bump`: the digests by which bases are pulled."""

from __future__ import annotations

import argparse

from toolkit.building.base_options import add_source_options, sources_of

HELP = "Ask the registries which content the bases' tags have today, and pin it."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("bases", nargs="*", metavar="BASE", help="such as dlc-pytorch-cpu; none: all")
    add_source_options(parser)
    parser.add_argument("--dry-run", action="store_true", help="show the change, and leave the files")
    parser.add_argument(
        "--packages",
        action="store_true",
        help="pull the named bases, and write which Python packages they bring",
    )


def run(arguments: argparse.Namespace) -> int:
    """Show the change as a diff, and write it."""
    from datetime import UTC, datetime

    from toolkit.building import bump, digests, images
    from toolkit.errors import ToolkitError

    sources, today = sources_of(arguments), datetime.now(UTC).date()
    bases = [images.find(name) for name in arguments.bases]
    for base in bases:
        if base.variant.base is not None:
            raise ToolkitError(f"{base.name} is no base.", f"Name what it stands on: {base.bases[-1]}.")
    if arguments.packages:
        if not bases:
            raise ToolkitError("--packages pulls large images.", "Name the bases.")
        for base in bases:
            print(f"Wrote {images.shown(bump.write_packages(base, sources, today))}")
        return 0
    all_bases = [image for image in images.matrix().values() if image.variant.base is None]
    proposals, unanswered = bump.propose(bases or all_bases, sources, today)
    changes = [proposal for proposal in proposals if proposal.diff()]
    for proposal in changes:
        print(proposal.diff())
        if not arguments.dry_run:
            digests.write(proposal.folder, proposal.pins)
    for line in unanswered:
        print(line)
    if not changes and not unanswered:
        print("Every base is pinned to what its tag has today.")
    return 1 if unanswered else 0
