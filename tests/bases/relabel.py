"""`python relabel.py NAME==VERSION ...`: packages get the local versions of the container, as 2.13.0+cpu.

What pip sees of an installed package is changed, and nothing of its code.
"""

from __future__ import annotations

import sys
from importlib.metadata import distribution
from pathlib import Path


def relabel(name: str, version: str) -> None:
    """Install `name`, which is there, as `version`; does nothing where it has that one."""
    found = distribution(name)
    if found.version == version:
        return
    metadata = next(Path(file.locate()) for file in found.files or () if file.name == "METADATA")
    folder = metadata.parent
    renamed = folder.name.replace(f"-{found.version}.", f"-{version}.")
    text = metadata.read_text(encoding="utf-8")
    metadata.write_text(
        text.replace(f"\nVersion: {found.version}\n", f"\nVersion: {version}\n", 1), encoding="utf-8"
    )
    record = folder / "RECORD"
    record.write_text(record.read_text(encoding="utf-8").replace(folder.name, renamed), encoding="utf-8")
    folder.rename(folder.with_name(renamed))


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        relabel(*argument.split("=="))
