"""`build.py status`: which images are what a build would make now."""

from __future__ import annotations

import argparse
import json
import sys

HELP = "Say which images are built, which are stale, and what their tests found."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", action="store_true", help="a JSON list of objects")


def run(arguments: argparse.Namespace) -> int:
    """One line an image."""
    from toolkit.building import images
    from toolkit.building.ledger.freshness import states

    rows = [
        {
            "name": state.image.name,
            "condition": state.condition,
            "digest": state.entry.digest if state.entry else None,
            "size_mb": round(state.entry.size_bytes / 1e6) if state.entry else None,
            "size_budget_mb": state.image.variant.size_budget_mb,
            "built_at": state.entry.built_at.isoformat(timespec="seconds") if state.entry else None,
            "tests": [one.model_dump(mode="json") for one in state.entry.tests] if state.entry else [],
            "changes": list(state.changes),
        }
        for state in states(images.matrix().values())
    ]
    if arguments.json:
        json.dump(rows, sys.stdout, indent=2)
        print()
        return 0
    width = max(len(str(row["name"])) for row in rows)
    print(f"{'IMAGE':{width}} {'STATE':10} {'MB':>5} {'OF':>5}  {'BUILT (UTC)':16}  TESTS")
    for row in rows:
        built = str(row["built_at"] or "")[:16].replace("T", " ")
        size = f"{row['size_mb'] or '':>5} {row['size_budget_mb']:>5}"
        line = f"{row['name']:{width}} {row['condition']:10} {size}  {built:16}  {_tests(row['tests'])}"
        print(line.rstrip())
    if any(row["changes"] for row in rows):
        print("`./build.py stale` says what has changed.")
    return 0


def _tests(tests: object) -> str:
    assert isinstance(tests, list)  # noqa: S101 - made above
    passed, failed = (sum(one[key] for one in tests) for key in ("passed", "failed"))
    return f"{passed} passed, {failed} failed" if tests else ""
