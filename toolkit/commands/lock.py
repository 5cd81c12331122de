"""`build.py lock`: hash-pinned locks from the requirements that people write."""

from __future__ import annotations

import argparse

HELP = "Resolve the requirements files anew, with hashes and without an index address."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("paths", nargs="*", metavar="PATH", help="only these, such as containers/ensemble")
    parser.add_argument("--dry-run", action="store_true", help="print the commands and stop")


def run(arguments: argparse.Namespace) -> int:
    """Run `uv pip compile` for each lock, or print how."""
    from toolkit.building import locks

    for lock in locks.choose(arguments.paths):
        if arguments.dry_run:
            print(" ".join(lock.command))
        else:
            locks.resolve(lock)
            print(f"Locked {lock.output}")
    return 0
