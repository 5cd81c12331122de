"""Files that are made from the matrix, and the parts of files: the JSON Schema, tables of the README."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from toolkit.building.images import CONTAINERS, ROOT, Image, tag_of
from toolkit.building.schema import Family
from toolkit.errors import ToolkitError

COMMAND = "./build.py generate"
SCHEMA = CONTAINERS / "image.schema.json"
_README = ROOT / "README.md"
_PART = re.compile(r"(<!-- images: .*? -->\n).*?(<!-- /images -->)", re.DOTALL)


def generate(images: Mapping[str, Image]) -> dict[Path, str]:
    """Every such file, with the content that it should have.

    Raises:
        ToolkitError: the README has no place for the table of images.
    """
    readme = _README.read_text(encoding="utf-8")
    if not _PART.search(readme):
        raise ToolkitError("README.md has lost the marks of its image table.", "git checkout README.md")
    table = image_table(images)
    return {
        SCHEMA: schema_text(),
        _README: _PART.sub(lambda found: f"{found[1]}\n{table}\n{found[2]}", readme),
    }


def schema_text() -> str:
    """The JSON Schema of an image.toml, for editors."""
    schema = Family.model_json_schema()
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "image.toml"}
    return json.dumps(schema, indent=2) + "\n"


def image_table(images: Mapping[str, Image]) -> str:
    """The images as a Markdown table, a row a family, those of bases last."""
    families: dict[Path, list[Image]] = {}
    for image in sorted(images.values(), key=lambda image: (image.variant.base is None, image.name)):
        families.setdefault(image.folder, []).append(image)
    lines = ["| Images | What for | They stand on |", "|---|---|---|"]
    for folder, members in families.items():
        names = ", ".join(f"`{image.name}`" for image in members)
        below = dict.fromkeys(image.variant.base or tag_of(image.variant) for image in members)
        readme = f"[{members[0].summary}](containers/{folder.name}/README.md)"
        lines.append(f"| {names} | {readme} | {', '.join(f'`{name}`' for name in below)} |")
    return "\n".join(lines) + "\n"
