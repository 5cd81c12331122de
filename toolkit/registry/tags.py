"""The tags of a pushed image: toolkit/data/tags.toml, applied to what the engine says of the image."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.registry.names import check_tag

DATA = Path(__file__).resolve().parent.parent / "data" / "tags.toml"
REVISION_LABEL = "org.opencontainers.image.revision"


@dataclass(frozen=True)
class Rule:
    """One tag of every pushed image.

    Attributes:
        pattern: with {created}, {revision} and {id}.
        moves: the next push takes it along.
        why: one sentence.
    """

    pattern: str
    moves: bool
    why: str


def read_scheme(path: Path = DATA) -> tuple[Rule, ...]:
    """The rules, in the order in which tags are pushed."""
    return tuple(Rule(**row) for row in tomllib.loads(path.read_text(encoding="utf-8"))["tag"])


def make_tag(rule: Rule, facts: Mapping[str, Any]) -> str:
    """The tag of an image.

    Args:
        rule: of the scheme.
        facts: as `docker image inspect` tells them.

    Raises:
        ToolkitError: the rule makes no tag of it.
    """
    labels = facts.get("Config", {}).get("Labels") or {}
    return check_tag(
        rule.pattern.format(
            created=str(facts["Created"])[:10].replace("-", ""),
            revision=str(labels.get(REVISION_LABEL) or "unknown")[:7],
            id=str(facts["Id"]).removeprefix("sha256:")[:12],
        )
    )
