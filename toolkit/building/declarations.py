"""containers/*/image.toml, read and checked: every error of every file at once, each with its line."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from toolkit.building.schema import Family, Variant, known_keys
from toolkit.building.toml_lines import line_of
from toolkit.errors import ToolkitError

ROOT = Path(__file__).resolve().parent.parent.parent
CONTAINERS = ROOT / "containers"
FILE = "image.toml"
TEMPLATE_FILE = "image.template.toml"  # of containers/template, which `build.py new` copies


@dataclass(frozen=True)
class Declaration:
    """One variant, and where it is declared."""

    path: Path
    family: Family
    variant_name: str

    @property
    def variant(self) -> Variant:
        """The variant itself."""
        return self.family.variants[self.variant_name]


def read(containers: Path, files: Sequence[str]) -> dict[str, Declaration]:
    """All declarations by the names of their images.

    Args:
        containers: the folder of the families.
        files: names of the declarations in them.

    Raises:
        ToolkitError: every error of every file, each with its file, line and key.
    """
    problems: list[str] = []
    declared: dict[str, Declaration] = {}
    unread: list[str] = []
    for path in sorted(path for file in files for path in containers.glob(f"*/{file}")):
        family, found = _read_file(path)
        problems += found
        if family is None:
            unread.append(f"{path.parent.name}-")
            continue
        named = {f"{path.parent.name}-{name}": Declaration(path, family, name) for name in family.variants}
        declared |= named
    for name, declaration in declared.items():
        problem = _wrong_base(name, declared, tuple(unread))
        if problem:
            text = declaration.path.read_text(encoding="utf-8")
            line = line_of(text, ("variants", declaration.variant_name))
            problems.append(f"{shown(declaration.path)}:{line}: {name} {problem}")
    if problems:
        raise ToolkitError("the image matrix has errors:\n  " + "\n  ".join(problems))
    return declared


def shown(path: Path) -> Path:
    """A path as messages have it: from the root of the checkout, where it lies in it."""
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def _read_file(path: Path) -> tuple[Family | None, list[str]]:
    """The family, or what is wrong with its file."""
    text = path.read_text(encoding="utf-8")
    try:
        return Family.model_validate(tomllib.loads(text)), []
    except tomllib.TOMLDecodeError as error:
        return None, [f"{shown(path)}: {error}"]
    except ValidationError as error:
        return None, [_describe(path, text, problem) for problem in error.errors()]


def _describe(path: Path, text: str, problem: Any) -> str:
    keys = [str(part) for part in problem["loc"]]
    place = f"{shown(path)}:{line_of(text, keys)}: {'.'.join(keys)}"
    if problem["type"] != "extra_forbidden":
        return f"{place}: {problem['msg']}"
    nearest = get_close_matches(keys[-1], known_keys(), n=1)
    return f"{place}: unknown key" + (f"; nearest: {nearest[0]}" if nearest else "")


def _wrong_base(name: str, declared: Mapping[str, Declaration], unread: tuple[str, ...]) -> str | None:
    """What is wrong with the base of one image; a base in a file that could not be read is not known."""
    variant = declared[name].variant
    if sum(field is not None for field in (variant.base, variant.os, variant.dlc)) != 1:
        return "needs one of `base`, `os` and `dlc`"
    if variant.base is None:
        needed = "is a base and needs `end_of_support`, such as 2028-06-30"
        return needed if variant.end_of_support is None else None
    if variant.base.startswith(unread):
        return None
    if variant.base not in declared:
        nearest = get_close_matches(variant.base, declared, n=1)
        hint = f"; nearest: {nearest[0]}" if nearest else ""
        return f"has a base {variant.base!r} that is no image{hint}"
    if (below := declared[variant.base].variant.platform) != variant.platform:
        return f"is for {variant.platform}, and its base {variant.base!r} for {below}"
    return _circle(name, declared)


def _circle(name: str, declared: Mapping[str, Declaration]) -> str | None:
    """Says so where the bases of an image lead back to one that was passed already."""
    passed = [name]
    while passed[-1] in declared:
        base = declared[passed[-1]].variant.base
        if base is None:
            return None
        if base in passed:
            return f"stands on itself: {' on '.join([*passed, base])}"
        passed.append(base)
    return None
