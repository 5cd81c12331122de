"""The failures of a verification as a person repairs them: one finding a rule, gravest first."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from toolkit.verify.contract import LEVELS, Advice, Rule, rules
from toolkit.verify.results import (
    COULD_NOT_TELL,
    NOT_CLAIMED,
    RuleResult,
    TestResult,
    Verification,
    advice_on,
)

# Whoever mends the first of these may find the others gone.
_FIRST = ("IMG-22", "TRAIN-02", "HOST-02", "TRAIN-03", "HOST-03", "HOST-21", "HOST-30", "HOST-31", "HOST-40")

MOST_WORDS = 4  # of `--only`, in a sentence


@dataclass(frozen=True)
class Finding:
    """One broken rule.

    Attributes:
        rule: the gravest that the tests name.
        others: further rules that they name.
        seen: what was seen -> the facts that do not hold, each from a test.
        notes: what the container printed last.
        advice: on the rule, or on what the tests have seen to break it.
    """

    rule: Rule
    others: tuple[str, ...]
    seen: dict[str, list[str]]
    notes: str
    advice: tuple[Advice, ...]


def findings(verification: Verification) -> list[Finding]:
    """All of them, in the order in which they are best repaired."""
    asked = {result.rule.id for result in verification.rules}
    groups: dict[str, list[TestResult]] = defaultdict(list)
    for test in verification.failures:
        broken = [rule for rule in test.broken if rule in asked]
        for rule in broken if test.findings else broken[:1]:
            groups[rule if test.findings else _gravest(broken, verification)].append(test)
    found = [_finding(rules()[rule], tests) for rule, tests in groups.items()]
    return sorted(found, key=lambda one: (LEVELS.index(one.rule.level), _place(one.rule.id)))


def _gravest(broken: list[str], verification: Verification) -> str:
    """Of an image that does not train rather a rule of serving, and the other way round."""
    sections = {"TRAIN": "train", "HOST": "serve"}
    idle = {section for section, name in sections.items() if not verification.claims[name][0]}
    return min(broken, key=lambda rule: (LEVELS.index(rules()[rule].level), rules()[rule].section in idle))


def _place(rule: str) -> tuple[int, int]:
    order = list(rules())
    return (_FIRST.index(rule) if rule in _FIRST else len(_FIRST), order.index(rule))


def _finding(rule: Rule, tests: list[TestResult]) -> Finding:
    others = dict.fromkeys(other for test in tests for other in test.broken if other != rule.id)
    seen: dict[str, list[str]] = defaultdict(list)
    for test in tests:
        seen[test.findings.get(rule.id) or test.seen].append(test.sentence)
    notes = next((test.notes for test in tests if test.notes), "")
    others = {} if any(test.findings for test in tests) else others
    return Finding(rule, tuple(others), dict(seen), notes, advice_on(rule, tests))


def left_open(verification: Verification) -> dict[tuple[str, str], list[RuleResult]]:
    """(status, reason) -> the rules that were not claimed for it, or of which nothing could be told."""
    groups: dict[tuple[str, str], list[RuleResult]] = defaultdict(list)
    for result in verification.rules:
        if result.status in (NOT_CLAIMED, COULD_NOT_TELL):
            groups[result.status, result.reason.partition("\n")[0]].append(result)
    return dict(sorted(groups.items(), key=lambda item: item[0][0], reverse=True))


def tried(verification: Verification) -> str:
    """What the image was tried against, such as `the SageMaker contract` or `HOST-30 and IMG`."""
    words = verification.only
    if not words:
        return "the SageMaker contract"
    if len(words) > MOST_WORDS:
        words = (*words[:MOST_WORDS], f"{len(words) - MOST_WORDS} more")
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def verdict(verification: Verification) -> str:
    """One sentence; a second one where only a part of the contract was tried."""
    broken = verification.count("must", "failed")
    open_rules = verification.count("must", COULD_NOT_TELL)
    but = ""
    if open_rules:
        but = f"; of {open_rules} MUST rule{'s' * (open_rules > 1)} nothing could be told"
    rest = " The rest of the SageMaker contract was not tried." if verification.only else ""
    if broken and not (verification.claims["train"][0] or verification.claims["serve"][0]):
        return f"{verification.image} is no SageMaker image: it has neither train nor serve."
    if broken:
        rule_s = "one MUST rule" if broken == 1 else f"{broken} MUST rules"
        return f"{verification.image} breaks {rule_s} of {tried(verification)}{but}.{rest}"
    should = verification.count("should", "failed")
    also = f", and breaks {should} SHOULD rule{'s' * (should > 1)}" if should else ""
    return f"{verification.image} breaks no MUST rule of {tried(verification)}{also}{but}.{rest}"
