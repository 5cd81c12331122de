"""`build.py new`: a family of one's own, copied from containers/template, which builds, trains and serves."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from toolkit.building.images import CONTAINERS, FILE, ROOT, TEMPLATE_FILE, shown
from toolkit.building.schema import BaseKind
from toolkit.errors import ToolkitError

TEMPLATE = CONTAINERS / "template"
PROFILES = ROOT / "tests" / "conformance" / "profiles"
_PROFILE = "profile.toml"
# An image and a Python package are named after it.
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_OTHERS = frozenset({"shared", "template"})
_LONGEST = 40


def make_family(
    name: str, kinds: Sequence[BaseKind], containers: Path = CONTAINERS, profiles: Path = PROFILES
) -> list[Path]:
    """Write the family's folder, and the profile by which the conformance tests know it.

    Args:
        name: of the folder, such as `forest`; the images are `forest-cpu` and `forest-cpu-dlc`.
        kinds: the bases that it gets a variant for.
        containers: the folder of the families.
        profiles: the folder of the profiles.

    Returns:
        the files that were written.

    Raises:
        ToolkitError: a name that cannot be used, or is in use; nothing is written then.
    """
    _check(name)
    folder, profile = containers / name, profiles / f"{name}-cpu.toml"
    for path in (folder, profile):
        if path.exists():
            raise ToolkitError(f"{shown(path)} is there already.", "Choose another name, or remove it.")
    written = []
    for source in sorted(TEMPLATE.rglob("*")):
        path = source.relative_to(TEMPLATE)
        if not source.is_file() or "__pycache__" in path.parts or _is_left_out(path, kinds):
            continue
        target = profile if path.name == _PROFILE else folder / _renamed(str(path), name)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = source.read_text(encoding="utf-8")
        if path.name == TEMPLATE_FILE:
            text = _variants(text, kinds)
            target = target.with_name(FILE)
        target.write_text(_renamed(text, name), encoding="utf-8")
        shutil.copymode(source, target)
        written.append(target)
    return written


def _check(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise ToolkitError(
            f"{name!r} cannot be the name of a family.",
            f"Use up to {_LONGEST} small letters, digits and single hyphens, such as my-forest.",
        )
    if name in _OTHERS:
        raise ToolkitError(f"containers/{name} is something else.", "Choose another name.")


def _is_left_out(path: Path, kinds: Sequence[BaseKind]) -> bool:
    """The lock of a variant that the family is not to have."""
    if path.parent.name != "requirements" or path.suffix != ".txt":
        return False
    return ("dlc" if path.stem.endswith("-dlc") else "slim") not in kinds


def _renamed(text: str, name: str) -> str:
    return text.replace("opt_ml_template", f"opt_ml_{name.replace('-', '_')}").replace("template", name)


def _variants(text: str, kinds: Sequence[BaseKind]) -> str:
    """The declaration without the variants of other bases; its paragraphs begin with what they are on."""
    unwanted = {"slim": "[variants.cpu]", "dlc": "[variants.cpu-dlc]"}
    headers = [header for kind, header in unwanted.items() if kind not in kinds]
    paragraphs = text.split("\n\n")
    return "\n\n".join(one for one in paragraphs if not any(header in one for header in headers))
