"""The images of the zoo, read from zoo.toml: what is changed in each, and what must be found there."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SUITE = HERE.parent / "conformance"
CONTRACT = tomllib.loads((SUITE / "contract.toml").read_text(encoding="utf-8"))
HELPERS = {"before", "after", "change-answers"}  # of faults/changes.py
MUST = ("MUST", "MUST-gap")
DUTIES = (*MUST, "SHOULD")  # levels of rules that are an image's to keep


@dataclass(frozen=True)
class File:
    """A file that an image has besides, or in the place of its own."""

    text: str
    mode: int = 0o755


@dataclass(frozen=True)
class Entry:
    """One image; zoo.toml says what each attribute means.

    Attributes:
        name: of the image, and of its fault.
        base: the sound image that it differs from.
        rule: that it breaks.
        tests: `module::function` of those that must fail.
        instructions: of a Dockerfile.
        files: absolute path -> content.
        media_types: of the manifest, old -> new, where the image is that of a registry.
        only: the rules that a report must name; empty for all those of the tests.
        also: rule -> why it is broken, too.
        slow: why only `make zoo` has it; empty where `make test` may have it, too.
    """

    name: str
    base: str
    rule: str
    tests: tuple[str, ...]
    instructions: tuple[str, ...] = ()
    files: Mapping[str, File] = field(default_factory=dict)
    media_types: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    also: Mapping[str, str] = field(default_factory=dict)
    slow: str = ""

    @property
    def is_fault(self) -> bool:
        """True where a function of `faults` changes the image's program."""
        return self.name in faults()

    @property
    def variables(self) -> tuple[str, ...]:
        """The instruction that brings its fault into the program."""
        return (f"ENV FAULT={self.name}",) if self.is_fault else ()

    @property
    def broken(self) -> frozenset[str]:
        """The rules that a report must name."""
        return frozenset(self.only or (rule for test in self.tests for rule in marks()[test]))

    @property
    def duties(self) -> frozenset[str]:
        """Those of `broken` that are the image's to keep; the others are of what the platform does."""
        return frozenset(rule for rule in self.broken if CONTRACT[rule]["level"] in DUTIES)


@dataclass(frozen=True)
class Zoo:
    """All of zoo.toml.

    Attributes:
        entries: the images.
        together: test -> why it checks several rules at once.
        without: rule -> why no image breaks it.
    """

    entries: tuple[Entry, ...]
    together: Mapping[str, str]
    without: Mapping[str, str]

    @property
    def quick(self) -> tuple[Entry, ...]:
        """The first image of each MUST that is not slow: those of `make test`."""
        first: dict[str, Entry] = {}
        for entry in self.entries:
            if CONTRACT[entry.rule]["level"] in MUST and not entry.slow:
                first.setdefault(entry.rule, entry)
        return tuple(first.values())


@cache
def zoo() -> Zoo:
    """What zoo.toml says."""
    document = tomllib.loads((HERE / "zoo.toml").read_text(encoding="utf-8"))
    together, without = document.pop("together"), document.pop("without")
    entries = tuple(_entry(name, base, row) for base, rows in document.items() for name, row in rows.items())
    return Zoo(entries, together, without)


def _entry(name: str, base: str, row: dict[str, Any]) -> Entry:
    files = {path: File(**content) for path, content in row.pop("files", {}).items()}
    lists = {key: tuple(row.pop(key)) for key in ("tests", "instructions", "only") if key in row}
    return Entry(name, base, files=files, **lists, **row)


@cache
def faults() -> frozenset[str]:
    """The names of all faults."""
    modules = [ast.parse(path.read_text(encoding="utf-8")) for path in (HERE / "faults").glob("[!_]*.py")]
    functions = [node.name for tree in modules for node in tree.body if isinstance(node, ast.FunctionDef)]
    return frozenset(name.replace("_", "-") for name in functions if not name.startswith("_")) - HELPERS


@cache
def marks() -> dict[str, list[str]]:
    """`module::function` of each test of the suite -> the rules that it checks."""
    return {
        f"{path.stem}::{node.name}": rules
        for path in sorted(SUITE.glob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and (rules := _rules(node))
    }


def _rules(function: ast.FunctionDef) -> list[str]:
    calls = [mark for mark in function.decorator_list if isinstance(mark, ast.Call)]
    return [
        ast.literal_eval(argument)
        for call in calls
        if ast.unparse(call.func) == "pytest.mark.contract"
        for argument in call.args
    ]
