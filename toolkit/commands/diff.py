"""`build.py diff`: what differs between two images that were built here."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.building.ledger.differences import Change, Difference
    from toolkit.building.ledger.entries import Entry

HELP = "Show what differs between two images: packages, layers, environment, labels, MB."
_STEP_WIDTH = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("before", metavar="A", help="an image's name, or the beginning of a digest")
    parser.add_argument("after", metavar="B", nargs="?", help="the same; none: A's build before, against A")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Print the difference."""
    from toolkit.building.ledger import entries
    from toolkit.building.ledger.differences import difference
    from toolkit.building.ledger.packages import packages_of
    from toolkit.errors import ToolkitError

    before = _entry(arguments.before)
    if arguments.after:
        after = _entry(arguments.after)
    else:
        older = [one for one in entries.history(before.name) if one.built_at < before.built_at]
        if not older:
            raise ToolkitError(f"{before.name} was built once.", "Name a second image: ./build.py diff A B")
        before, after = older[0], before
    found = difference(before, after, packages_of(before), packages_of(after))
    if arguments.json:
        json.dump(asdict(found), sys.stdout, indent=2)
        print()
    else:
        _show(before, after, found)
    return 0


def _entry(word: str) -> Entry:
    from toolkit.building import images
    from toolkit.building.ledger import entries
    from toolkit.building.ledger.freshness import built_entry
    from toolkit.errors import ToolkitError

    if word in images.matrix():
        return built_entry(images.find(word))
    entry = entries.find(word)
    if entry is None:
        raise ToolkitError(
            f"{word!r} is neither an image nor the beginning of a digest in the ledger.",
            "./build.py status --json shows the digests.",
        )
    return entry


def _show(before: Entry, after: Entry, found: Difference) -> None:
    for sign, entry in (("-", before), ("+", after)):
        built = entry.built_at.strftime("%Y-%m-%d %H:%M UTC")
        print(f"{sign} {entry.name} {entry.digest[7:19]}, {entry.size_bytes / 1e6:.1f} MB, built {built}")
    print(f"{found.size_bytes / 1e6:+.1f} MB; {found.same_layers} lower layers are the same.")
    for sign, layers in (("-", found.removed_layers), ("+", found.added_layers)):
        for step, size in layers:
            print(f"{sign} {size / 1e6:8.1f} MB  {' '.join(step.split())[:_STEP_WIDTH]}")
    for title, changes in (
        ("Packages", found.packages),
        ("Environment", found.environment),
        ("Labels", found.labels),
    ):
        _show_changes(title, changes)
    if found.inputs and before.name == after.name:
        print("Made of:")
        for line in found.inputs:
            print(f"  {line}")


def _show_changes(title: str, changes: Sequence[Change]) -> None:
    if changes:
        print(f"{title}:")
    for change in changes:
        if change.before is None:
            print(f"  + {change.name} {change.after}")
        elif change.after is None:
            print(f"  - {change.name} {change.before}")
        else:
            print(f"    {change.name} {change.before} -> {change.after}")
