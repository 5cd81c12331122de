"""Writes what becomes of each test as it comes, for `build.py verify`: a pytest plugin.

    pytest tests/conformance -p tests.conformance.results --results FILE

One JSON object a line: {"event": "found", "tests": [NAME, ...]}, {"event": "begins", "test": NAME}, and

    {"event": "ended", "test": NAME, "rules": [ID, ...], "status": STATUS, "seen": TEXT,
     "findings": {ID: TEXT}, "notes": TEXT, "cause": NAME, "seconds": NUMBER}

STATUS is `passed`, `failed`, `not claimed` or `could not tell`. Where `findings` has rules, only these are
broken, and not every rule of the test. `cause` is a name in advice.toml below `causes`, or empty.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

NOT_CLAIMED, COULD_NOT_TELL = "not claimed", "could not tell"
LONGEST = 2000  # characters of what was seen
_CODES = re.compile(r"assert (\d{3}) == (\d{3})$", re.MULTILINE)
_OWN_ERRORS = re.compile(r"^(AssertionError|(toolkit|tests)\.[\w.]+): ")
_SETS = re.compile(r"assert (\d{3}) in (\{[\d, ]+\})", re.MULTILINE)


def pytest_configure(config: pytest.Config) -> None:
    """Write in the process that hears of all tests: the only one, or that of the workers' reports."""
    target = config.getoption("--results", None)
    if target and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Writer(Path(target)), "conformance-results")


class Writer:
    """Gathers the reports of setup, call and teardown of each test.

    Args:
        target: the file; it may be a pipe.
    """

    def __init__(self, target: Path) -> None:
        self._stream = target.open("w", encoding="utf-8", buffering=1)
        self._reports: dict[str, list[pytest.TestReport]] = {}
        self._found = False

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Without workers: the tests are those of this process."""
        if session.items:
            self._write(event="found", tests=[name_of(item.nodeid) for item in session.items])

    def pytest_xdist_node_collection_finished(self, node: object, ids: list[str]) -> None:
        """With workers: each has the same tests."""
        if not self._found:
            self._found = True
            self._write(event="found", tests=[name_of(one) for one in ids])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test begins."""
        self._write(event="begins", test=name_of(nodeid))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A part of a test has ended; with the last one it is known what became of it."""
        reports = self._reports.setdefault(report.nodeid, [])
        reports.append(report)
        if report.when == "teardown":
            del self._reports[report.nodeid]
            self._write(event="ended", test=name_of(report.nodeid), **outcome(reports))

    def pytest_sessionfinish(self) -> None:
        """Nothing more comes."""
        self._stream.close()

    def _write(self, **event: Any) -> None:
        self._stream.write(json.dumps(event) + "\n")


def name_of(nodeid: str) -> str:
    """Module and test, without the directory and without the worker's group."""
    path, _, test = nodeid.partition("::")
    return f"{Path(path).stem}::{test.rpartition('@')[0] or test}"


def outcome(reports: list[pytest.TestReport]) -> dict[str, Any]:
    """What became of a test, from its reports."""
    properties = dict(reports[0].user_properties)
    for report in reports[1:]:
        properties |= {name: value for name, value in report.user_properties if name != "rules"}
    worst = next((one for one in reports if one.failed), None) or next(
        (one for one in reports if one.skipped), reports[-1]
    )
    status, seen = _judged(worst)
    findings = properties.get("findings", {})
    text, notes = properties.get("unusable", ("", ""))
    if text:
        told = " ".join(dict.fromkeys(findings.values()))
        status, seen = ("failed", told) if findings else (COULD_NOT_TELL, text)
    return {
        "rules": properties.get("rules", []),
        "status": status,
        "seen": seen[:LONGEST],
        "findings": findings,
        "notes": notes,
        "cause": properties.get("cause", ""),
        "seconds": round(sum(one.duration for one in reports), 2),
    }


def _judged(report: pytest.TestReport) -> tuple[str, str]:
    if hasattr(report, "wasxfail") and report.skipped:
        reason = str(report.wasxfail)
        return _named(reason) or ("failed", reason)
    if report.skipped:
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        if named := _named(reason):
            return named
        if "empty parameter set" in reason:
            return COULD_NOT_TELL, "the profile names nothing to try it with"
        return COULD_NOT_TELL, reason
    if report.failed and report.when == "setup":
        return COULD_NOT_TELL, _seen(report)
    return ("failed", _seen(report)) if report.failed else ("passed", "")


def _named(reason: str) -> tuple[str, str] | None:
    """Status and reason, where the reason begins with a status."""
    status, _, text = reason.partition(": ")
    return (status, text) if status in (NOT_CLAIMED, COULD_NOT_TELL) else None


def _seen(report: pytest.TestReport) -> str:
    """What an assertion says, first in the words of the test."""
    crash = getattr(report.longrepr, "reprcrash", None)
    message = str(crash.message if crash else report.longrepr or "").strip()
    said, _, comparison = _OWN_ERRORS.sub("", message).partition("\nassert ")
    if not comparison:
        said, comparison = "", said.removeprefix("assert ")
    first = comparison.partition("\n")[0]
    if found := _CODES.search(f"assert {first}"):
        compared = f"status {found[1]} instead of {found[2]}"
    elif found := _SETS.search(f"assert {first}"):
        compared = f"status {found[1]} instead of one of {found[2].strip('{}')}"
    else:
        compared = "" if said else first
    return f"{said}\n{compared}".strip()
