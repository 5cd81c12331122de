"""`build.py list`: the images of this checkout."""

from __future__ import annotations

import argparse
import json
import shutil
import sys

HELP = "List the images of this checkout and which of them are built."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", action="store_true", help="a JSON list of objects")


def run(arguments: argparse.Namespace) -> int:
    """Print the matrix with each image's local size."""
    from toolkit.building import images
    from toolkit.machine import docker

    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    rows = []
    for image in images.matrix().values():
        facts = docker.inspect_image(image.reference)
        rows.append(
            {
                "name": image.name,
                "image": image.reference,
                "summary": image.summary,
                "base": image.variant.base,
                "base_kind": image.base_kind,
                "platform": image.variant.platform,
                "end_of_support": image.end_of_support.isoformat() if image.end_of_support else None,
                "end_of_life": image.end_of_life,
                "built": facts is not None,
                "size_mb": round(docker.unpacked_size(image.reference) / 1e6) if facts else None,
                "size_budget_mb": image.variant.size_budget_mb,
            }
        )
    if arguments.json:
        json.dump(rows, sys.stdout, indent=2)
        print()
        return 0
    width = max(len(str(row["name"])) for row in rows)
    for row in rows:
        state = f"{row['size_mb']} MB" if row["built"] else "not built"
        print(f"{row['name']:{width}} {state:>10}  {row['summary']}"[:columns])
    return 0
