"""What all worker processes of a test run need, made by the first that comes to it."""

from __future__ import annotations

import fcntl
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Made = TypeVar("Made")


class UnusableError(Exception):
    """What a test stands on is not there: it cannot say anything about its own rule.

    Args:
        text: why, in one sentence.
        findings: rule -> what was seen, where the cause breaks rules itself.
        notes: further lines for a person: what the container printed last.
    """

    def __init__(self, text: str, findings: dict[str, str] | None = None, notes: str = "") -> None:
        super().__init__(text, findings, notes)
        self.text = text
        self.findings = findings or {}
        self.notes = notes

    def __str__(self) -> str:
        return "\n".join([self.text, *self.findings.values(), self.notes]).strip()


class CauseError(AssertionError):
    """A rule is broken, and it is known by what.

    Args:
        cause: a name in advice.toml below `causes`, whose words a report has in place of the rule's own.
        seen: one sentence.
    """

    def __init__(self, cause: str, seen: str) -> None:
        super().__init__(seen)
        self.cause = cause


def once(place: Path, make: Callable[[], Made]) -> Made:
    """What `make` returns, called by one process only; the others wait for it and read it from `place`.

    Args:
        place: a file name that all processes share.
        make: its value can be pickled.

    Raises:
        UnusableError: `make` raised it, in this process or in another one.
    """
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            outcome: Made | UnusableError
            try:
                outcome = make()
            except UnusableError as error:
                outcome = error
            place.write_bytes(pickle.dumps(outcome))
        outcome = pickle.loads(place.read_bytes())
    if isinstance(outcome, UnusableError):
        raise outcome
    return outcome
