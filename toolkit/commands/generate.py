"""`build.py generate`: the files that are made from declarations, of images and of the contract."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "Write what is made from declarations: the images' JSON Schema and tables, the pages in docs/."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--check", action="store_true", help="write nothing; 1 where a file is out of date")


def run(arguments: argparse.Namespace) -> int:
    """Write each file that is not as it should be, and name it."""
    from toolkit.building import generated
    from toolkit.building.images import matrix, shown
    from toolkit.verify import peers_page, rules_page

    files = {**generated.generate(matrix()), **rules_page.generate(), **peers_page.generate()}
    stale = {path: text for path, text in files.items() if not _has(path, text)}
    for path, text in stale.items():
        if arguments.check:
            print(f"{shown(path)} is out of date: {generated.COMMAND}")
            continue
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"Wrote {shown(path)}")
    return 1 if stale and arguments.check else 0


def _has(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text
