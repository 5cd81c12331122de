"""containers/*/digests.toml: the content that a base's tag had when `build.py bump` last looked."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

FILE = "digests.toml"
_HEAD = """# Made by `./build.py bump`: the content of each base's tag on the day when it was last looked at.
# Builds pull by these; a base that is not listed is pulled by its tag.
"""


@dataclass(frozen=True)
class Pin:
    """The content of a tag.

    Attributes:
        tag: repository and tag, such as `pytorch:2.13-cpu-amzn2023-sagemaker`.
        digest: `sha256:...` of the manifest, or of the index where the tag is one.
        checked: when the registry was asked.
    """

    tag: str
    digest: str
    checked: date


def read(folder: Path) -> dict[str, Pin]:
    """Variant name to pin; empty where the folder has none."""
    path = folder / FILE
    if not path.exists():
        return {}
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return {variant: Pin(**values) for variant, values in table.items()}


def write(folder: Path, pins: Mapping[str, Pin]) -> None:
    """Write the folder's pins."""
    (folder / FILE).write_text(text(pins), encoding="utf-8")


def text(pins: Mapping[str, Pin]) -> str:
    """The file for these pins, in the order of their names; empty for none."""
    parts = [
        f'\n[{variant}]\ntag = "{pin.tag}"\ndigest = "{pin.digest}"\nchecked = {pin.checked}\n'
        for variant, pin in sorted(pins.items())
    ]
    return _HEAD + "".join(parts) if parts else ""
