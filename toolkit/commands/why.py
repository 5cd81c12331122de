"""`build.py why`: what an image is made of, why it was built, and why it would be built again."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

HELP = "Say what an image is made of, why it was last built, and why it would be again."
_SHOWN = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("image", metavar="IMAGE", help="such as ensemble-cpu; `list` shows all")


def run(arguments: argparse.Namespace) -> int:
    """Three paragraphs: made of, built because, stale because."""
    from toolkit.building import images
    from toolkit.building.ledger import entries
    from toolkit.building.ledger.freshness import input_changes, states

    image = images.find(arguments.image)
    [state] = states([image])
    files = sum(" " not in name for name in state.inputs)
    print(f"{' on '.join((image.name, *image.bases))}: a build of it sees {files} files.")
    entry = state.entry
    if entry is None:
        print(
            f"{image.name} is {'built, but not from here' if state.condition == 'unknown' else 'not built'}."
        )
        return 0
    at = entry.built_at.strftime("%Y-%m-%d %H:%M UTC")
    revision = f", at commit {entry.revision[:12]}" if entry.revision else ""
    print(f"Built {at} in {entry.build_seconds:.1f} s{revision}: {entry.digest[7:19]}")
    older = [one for one in entries.history(image.name) if one.built_at < entry.built_at]
    if older:
        title = f"What had changed since the build before, {older[0].digest[7:19]}:"
        _show(title, [*input_changes(older[0].inputs, entry.inputs)], "nothing that it is made of")
    _show("What has changed since:", state.changes, "nothing; a build would make the same again")
    return 0


def _show(title: str, lines: Sequence[str], none: str) -> None:
    print(title if lines else f"{title} {none}.")
    for line in lines[:_SHOWN]:
        print(f"  {line}")
    if len(lines) > _SHOWN:
        print(f"  and {len(lines) - _SHOWN} more")
