"""Shells: their age, which is told by rings that are tedious to count, from measurements that are not.

Usage: python3 shells.py DIRECTORY

It writes train/shells.csv and test/shells.csv with a header, and request.csv with three rows without a label.
The rows are made up, always the same ones, and shaped like the abalone data of the published walk-through:
sex, three sizes, four weights and the number of rings.
"""

from __future__ import annotations

import csv
import random
import sys
from collections.abc import Sequence
from pathlib import Path

COLUMNS = ("sex", "length", "diameter", "height", "whole", "shucked", "viscera", "shell", "rings")
ROWS = 4177


def made_up(rows: int, seed: int) -> list[list[str]]:
    """Rows as in the files, the label last."""
    source = random.Random(seed)  # noqa: S311 - made-up data
    made = []
    for _ in range(rows):
        length = source.betavariate(5, 4)
        sizes = [length * share + source.gauss(0, 0.02) for share in (1.0, 0.8, 0.28)]
        weights = [length**3 * share + source.gauss(0, 0.03) for share in (2.0, 0.9, 0.4, 0.6)]
        sex = source.choice("MFI")
        rings = 4 + 9 * length + (sex != "I") + 3 * sizes[2] + source.gauss(0, 2)
        made.append([sex, *(f"{value:.4f}" for value in (*sizes, *weights)), f"{rings:.0f}"])
    return made


def write(path: Path, rows: Sequence[Sequence[str]]) -> None:
    """A CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def main(directory: Path) -> None:
    """Write all files."""
    rows = made_up(ROWS, seed=1)
    held_out = ROWS // 5
    write(directory / "train" / "shells.csv", [COLUMNS, *rows[held_out:]])
    write(directory / "test" / "shells.csv", [COLUMNS, *rows[:held_out]])
    write(directory / "request.csv", [row[:-1] for row in rows[:3]])
    print(f"{len(rows) - held_out} rows to train on and {held_out} to test with, in {directory}.")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
