"""What became of each test and of each rule, as data: shown, written down, and read by other programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from toolkit.verify.contract import LEVELS, Advice, Rule, rules

PASSED, FAILED, NOT_CLAIMED, COULD_NOT_TELL = "passed", "failed", "not claimed", "could not tell"
STATUSES = (PASSED, FAILED, NOT_CLAIMED, COULD_NOT_TELL)
_WORST_FIRST = (FAILED, PASSED, COULD_NOT_TELL, NOT_CLAIMED)


@dataclass(frozen=True)
class TestResult:
    """What became of one test.

    Attributes:
        name: module and function, such as `test_serve::test_ping_may_be_posted`.
        rules: those that it checks.
        status: one of STATUSES.
        seen: what was seen where it failed, and why where it was not claimed or could not tell.
        findings: rule -> what was seen, where it is known which of its rules are broken.
        notes: what the container printed last.
        cause: of `toolkit.verify.contract.causes`; empty where it is not known by what they are broken.
        seconds: that it took.
    """

    __test__ = False  # no test of pytest's, in spite of its name

    name: str
    rules: tuple[str, ...]
    status: str
    seen: str = ""
    findings: Mapping[str, str] = field(default_factory=dict)
    notes: str = ""
    cause: str = ""
    seconds: float = 0.0

    @property
    def sentence(self) -> str:
        """The name as the fact that it states."""
        words, _, parameter = self.name.partition("::test_")[2].partition("[")
        sentence = words.replace("_", " ")
        return f"{sentence} ({parameter.rstrip(']')})" if parameter else sentence

    @property
    def broken(self) -> tuple[str, ...]:
        """The rules that it shows to be broken."""
        if self.status != FAILED:
            return ()
        return tuple(self.findings) or self.rules

    def status_of(self, rule: str) -> str:
        """What it says of one of its rules: where others are known to be broken, nothing of this one."""
        if self.status == FAILED and rule not in self.broken:
            return COULD_NOT_TELL
        return self.status


@dataclass(frozen=True)
class RuleResult:
    """What the tests say of one rule."""

    rule: Rule
    status: str
    tests: tuple[TestResult, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """What was seen, or why there is nothing to be seen, by one test after the other; each once."""
        found = [test for test in self.tests if test.status_of(self.rule.id) == self.status]
        return tuple(dict.fromkeys(filter(None, map(self._reason, found))))

    @property
    def reason(self) -> str:
        """The first of `reasons`, or empty."""
        return next(iter(self.reasons), "")

    def _reason(self, test: TestResult) -> str:
        if self.status == COULD_NOT_TELL and test.broken:
            return f"{', '.join(test.broken)} must be mended first"
        return test.findings.get(self.rule.id) or test.seen

    def advice(self) -> dict[str, str]:
        """What SageMaker shows and what mends it, a line for each thing that was seen to break the rule."""
        found = advice_on(self.rule, self.tests) or (self.rule.advice(""),)
        shows, cures = ("\n".join(words) for words in zip(*found, strict=True))
        return {"shows": shows, "cure": cures}


@dataclass(frozen=True)
class Verification:
    """What is known of an image.

    Attributes:
        image: its reference.
        facts: name -> text, for people: id, platform, size, profile.
        claims: what it claims -> why it is believed to, or not to; see `toolkit.verify.claims`.
        tests: all of them.
        rules: those of the level and the choice that was asked for, in the order of the contract.
        seconds: that it took.
        started: ISO 8601.
        only: the sections and rules that were asked for; empty for all of them.
    """

    image: str
    facts: Mapping[str, str]
    claims: Mapping[str, tuple[bool, str]]
    tests: tuple[TestResult, ...]
    rules: tuple[RuleResult, ...]
    seconds: float
    started: str
    only: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[TestResult, ...]:
        """Tests that break one of the rules asked for, gravest first."""
        asked = {result.rule.id for result in self.rules}
        found = [test for test in self.tests if asked.intersection(test.broken)]
        return tuple(sorted(found, key=lambda test: LEVELS.index(level_of(test))))

    @property
    def honours(self) -> bool | None:
        """False where a MUST is broken; None where none is, but only a part of the contract was tried."""
        if self.count("must", FAILED):
            return False
        return None if self.only else True

    @property
    def is_known(self) -> bool:
        """False where not one rule could be tried on a running container."""
        return any(result.status in (PASSED, FAILED) for result in self.rules)

    def count(self, level: str, status: str) -> int:
        """Rules of a level that have a status."""
        return sum(result.rule.level == level and result.status == status for result in self.rules)

    def as_document(self) -> dict[str, Any]:
        """All of it, as JSON takes it."""
        return {
            "image": self.image,
            "honours": self.honours,
            "only": list(self.only),
            "started": self.started,
            "seconds": self.seconds,
            "facts": dict(self.facts),
            "claims": {
                name: {"claimed": claimed, "why": why} for name, (claimed, why) in self.claims.items()
            },
            "counts": {level: {status: self.count(level, status) for status in STATUSES} for level in LEVELS},
            "rules": [
                {
                    **asdict(result.rule),
                    **result.advice(),
                    "status": result.status,
                    "reason": result.reason,
                    "reasons": list(result.reasons),
                    "tests": [test.name for test in result.tests],
                }
                for result in self.rules
            ],
            "tests": [asdict(test) for test in self.tests],
        }


def advice_on(rule: Rule, tests: Iterable[TestResult]) -> tuple[Advice, ...]:
    """The words for each thing that the failing tests have seen to break the rule."""
    return tuple(dict.fromkeys(rule.advice(test.cause) for test in tests if rule.id in test.broken))


def level_of(test: TestResult) -> str:
    """The gravest level of the rules that it shows to be broken, or else of all its rules."""
    levels = {rules()[rule].level for rule in test.broken or test.rules}
    return next((level for level in LEVELS if level in levels), LEVELS[-1])


def by_rule(
    tests: Sequence[TestResult], asked: frozenset[str], levels: frozenset[str]
) -> tuple[RuleResult, ...]:
    """What the tests say of each rule that one of them checks.

    Args:
        tests: all.
        asked: ids of rules.
        levels: of rules.
    """
    return tuple(
        RuleResult(rule, _status(rule.id, found), found)
        for rule in rules().values()
        if rule.id in asked
        and rule.level in levels
        and (found := tuple(test for test in tests if rule.id in (*test.rules, *test.findings)))
    )


def _status(rule: str, tests: Iterable[TestResult]) -> str:
    """The worst, and one test that passes counts for more than others that could not tell."""
    found = {test.status_of(rule) for test in tests}
    return next(status for status in _WORST_FIRST if status in found)
