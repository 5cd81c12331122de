"""The rules of tests/conformance/contract.toml, and what to do where one is broken."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from toolkit.building.images import ROOT
from toolkit.errors import ToolkitError

SUITE = ROOT / "tests" / "conformance"
LEVELS = ("must", "should", "may")
# Level of contract.toml -> how much of a report's reader it concerns. What the platform does (SIM) and its
# limits (LIM) are no duties of an image, but one that cannot cope with them fails there.
_LEVELS = {
    "MUST": "must",
    "MUST-gap": "must",
    "SHOULD": "should",
    "SIM": "should",
    "LIM": "should",
    "MAY": "may",
}


class Advice(NamedTuple):
    """Words for the reader of a report.

    Attributes:
        shows: what SageMaker shows to the user of an image that breaks a rule.
        cure: what most likely mends it.
    """

    shows: str
    cure: str


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        id: such as HOST-30.
        level: `must`, `should` or `may`.
        text: one sentence.
        source: where that stands.
        shows: what SageMaker shows to the user of an image that breaks it.
        cure: what most likely mends it.
    """

    id: str
    level: str
    text: str
    source: str
    shows: str
    cure: str

    @property
    def section(self) -> str:
        """The part before the number."""
        return self.id.rpartition("-")[0]

    def advice(self, cause: str) -> Advice:
        """On what a test has seen to break the rule; on the rule itself where `cause` is empty.

        Args:
            cause: a name below `causes` in advice.toml.
        """
        return causes()[cause] if cause else Advice(self.shows, self.cure)


@cache
def rules() -> Mapping[str, Rule]:
    """All rules by id, in the order of the contract."""
    contract = tomllib.loads((SUITE / "contract.toml").read_text(encoding="utf-8"))
    advice = _advice_file()
    return {
        rule_id: Rule(
            rule_id,
            _LEVELS[facts["level"]],
            facts["rule"],
            facts.get("source", ""),
            **_advice(rule_id, advice),
        )
        for rule_id, facts in contract.items()
    }


@cache
def causes() -> Mapping[str, Advice]:
    """What a test can see to break a rule, by name."""
    return {name: Advice(**words) for name, words in _advice_file()["causes"].items()}


@cache
def _advice_file() -> Mapping[str, Any]:
    parsed: dict[str, Any] = tomllib.loads((SUITE / "advice.toml").read_text(encoding="utf-8"))
    return parsed


def _advice(rule_id: str, advice: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """What stands under the rule, and where it says nothing what stands under its section."""
    general = advice.get(rule_id.rpartition("-")[0], {})
    own = advice.get(rule_id, {})
    return {key: own.get(key) or general.get(key, "") for key in ("shows", "cure")}


def within(levels_from: str) -> frozenset[str]:
    """`must`, or all levels down to one.

    Args:
        levels_from: the lowest.
    """
    return frozenset(LEVELS[: LEVELS.index(levels_from) + 1])


def chosen(words: tuple[str, ...]) -> frozenset[str]:
    """The ids that `--only` means: sections such as HOST, and ids such as HOST-30; all where it says nothing.

    Raises:
        ToolkitError: a word is neither.
    """
    sections = {rule.section for rule in rules().values()}
    for word in words:
        if word not in sections and word not in rules():
            raise ToolkitError(
                f"--only {word} is no rule and no section of the contract.",
                f"Sections are {', '.join(sorted(sections))}; rules are such as HOST-30.",
            )
    return frozenset(
        rule.id for rule in rules().values() if not words or rule.id in words or rule.section in words
    )
