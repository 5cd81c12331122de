"""A verification as a page for people: one HTML file to look at, and to send to a colleague."""

from __future__ import annotations

import re
from datetime import datetime
from html import escape
from pathlib import Path

from toolkit.pages import page
from toolkit.verify.claims import NAMES
from toolkit.verify.findings import Finding, findings, left_open, tried, verdict
from toolkit.verify.results import (
    COULD_NOT_TELL,
    FAILED,
    NOT_CLAIMED,
    PASSED,
    STATUSES,
    RuleResult,
    Verification,
)
from toolkit.verify.rules_page import SECTIONS

_CSS = Path(__file__).parent.parent / "data" / "verify.css"
_KINDS = {True: "honours", False: "breaks", None: "partly"}
_MARKS = {PASSED: "passed", FAILED: "failed", NOT_CLAIMED: "unclaimed", COULD_NOT_TELL: "untold"}


def write_report(path: Path, verification: Verification) -> None:
    """Write the page."""
    style = f"<style>\n{_CSS.read_text(encoding='utf-8')}</style>"
    page.write(
        path,
        verification.image,
        (
            style,
            page.muted(f"Against {_tried(verification)}, {_day(verification.started)}"),
            _verdict(verification),
            page.facts(_headline(verification)),
            _findings(verification),
            _claims(verification),
            _open(verification),
            _sections(verification),
            page.table("The image", (), [[name, text] for name, text in verification.facts.items()], 2),
        ),
    )


def _day(started: str) -> str:
    return datetime.fromisoformat(started).strftime("%d %B %Y, %H:%M %Z")


def _tried(verification: Verification) -> str:
    contract = "the SageMaker container contract"
    return f"{tried(verification)} only, of {contract}" if verification.only else contract


def _verdict(verification: Verification) -> str:
    kind = _KINDS[verification.honours]
    return f'<p class="verdict {kind}">{escape(verdict(verification))}</p>'


def _headline(verification: Verification) -> dict[str, str]:
    words = {PASSED: "passed", FAILED: "failed", COULD_NOT_TELL: "left open"}
    return {
        f"{level.upper()} rules {word}": str(count)
        for level in ("must", "should", "may")
        for status, word in words.items()
        if (count := verification.count(level, status)) or (level == "must")
    } | {"tests": str(len(verification.tests)), "time": f"{verification.seconds:.0f} s"}


def _findings(verification: Verification) -> str:
    found = findings(verification)
    if not found:
        return ""
    return "<h2>What to mend, in this order</h2>" + "".join(map(_finding, found))


def _finding(finding: Finding) -> str:
    others = f'<span class="muted"> and {escape(", ".join(finding.others))}</span>' if finding.others else ""
    rows = []
    for seen, facts in finding.seen.items():
        rows.append(("Expected", f"{escape('; '.join(facts))}"))
        rows.append(("Seen", f"<code>{escape(seen)}</code>"))
    if finding.notes:
        log = f"<details><summary>last lines</summary><pre>{escape(finding.notes)}</pre></details>"
        rows.append(("Log", log))
    for shows, cure in finding.advice:
        rows.append(("SageMaker shows", _marked(shows)))
        rows.append(("Cure", f"<strong>{_marked(cure)}</strong>"))
    listed = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in rows)
    return (
        f'<section class="finding {finding.rule.level}" id="{finding.rule.id}"><h3>'
        f'<span class="level">{finding.rule.level.upper()}</span> {finding.rule.id}{others}</h3>'
        f"<p>{_marked(finding.rule.text)}</p><dl>{listed}</dl>"
        f'<p class="muted">Source: {escape(finding.rule.source)}</p></section>'
    )


def _marked(text: str) -> str:
    """HTML of a sentence of the contract, where `code` and **weight** are marked as in Markdown."""
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", text)


def _claims(verification: Verification) -> str:
    rows = [
        [NAMES[name], "yes" if claimed else "no", why.replace("`", "")]
        for name, (claimed, why) in verification.claims.items()
    ]
    return page.table("What it claims", ("", "", "because"), rows, 3)


def _open(verification: Verification) -> str:
    rows = [
        [reason, status, ", ".join(result.rule.id for result in results)]
        for (status, reason), results in left_open(verification).items()
    ]
    return page.table("What was not tried", ("because", "", "rules"), rows, 3)


def _sections(verification: Verification) -> str:
    """The rules that were asked for, section by section, folded."""
    return "<h2>Rule by rule</h2>" + "".join(
        _section(title, results)
        for section, title in SECTIONS.items()
        if (results := [result for result in verification.rules if result.rule.section == section])
    )


def _section(title: str, results: list[RuleResult]) -> str:
    counted = ", ".join(
        f"{count} {status}" for status in STATUSES if (count := sum(r.status == status for r in results))
    )
    items = "".join(
        f'<li class="{_MARKS[result.status]}"><b>{result.rule.id}</b> '
        f'<span class="muted">{result.rule.level.upper()}, {result.status}</span>'
        f"<br>{_marked(result.rule.text)}</li>"
        for result in results
    )
    return (
        f"<details><summary><b>{escape(title)}</b>: {counted}</summary>"
        f'<ul class="rules">{items}</ul></details>'
    )
