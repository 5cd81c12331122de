"""docs/peers.md: what the suite says of the images of others and of ours; made from stored results."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.building.images import ROOT, matrix
from toolkit.verify.contract import rules
from toolkit.verify.results import COULD_NOT_TELL, FAILED, NOT_CLAIMED, PASSED
from toolkit.verify.rules_page import SECTIONS

PAGE = ROOT / "docs" / "peers.md"
PEERS = ROOT / "tests" / "peers"
RESULTS = PEERS / "results"
LONGEST = 240  # characters of what was seen of a rule
LEVELS = ("must", "should")

_HEAD = """# The images of others, and ours, through the same suite

Made from [tests/peers/results](../tests/peers/results) by `./build.py generate`. `make peers` builds the
images of others, verifies them and writes their results anew: an hour on two cores, or `make peers
ARGUMENTS=mlserver` for one of them. Ours go the same way: `make peers ARGUMENTS=ensemble-cpu`.

Every image ran all of [tests/conformance](../tests/conformance) by `./build.py verify`, with a profile
that says what it claims. A rule that an image does not claim, such as many models or a user's script,
does not count against it. "18 of 20": of the 20 rules that could be tried, 18 are kept; a dash: none was
tried. A failed test counts against every rule that it tries. [All rules](contract.md).

Ours, which have names in code style, are asked for all of it. What multi-model-server, TorchServe or
AutoGluon decides otherwise is listed below with the reason, and counts against them like any failure.

The images of others are built here, on our small Debian base, of the versions named below, and laid out
as their own documents or AWS's Dockerfiles do it ([tests/peers](../tests/peers)). What the images of
their makers have besides is not in them.
"""


def shortened(document: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a verification.

    Args:
        document: of `Verification.as_document`.

    Returns:
        when it was made, how the rules of each section and level stand, what was seen to break each
        rule.
    """
    sections: dict[str, dict[str, dict[str, int]]] = {}
    for rule in document["rules"]:
        if rule["level"] in LEVELS:
            section = sections.setdefault(rule["id"].rpartition("-")[0], {})
            counts = section.setdefault(rule["level"], {})
            counts[rule["status"]] = counts.get(rule["status"], 0) + 1
    return {
        "date": document["started"].partition("T")[0],
        "tests": len(document["tests"]),
        "sections": sections,
        "broken": {
            rule["id"]: [_one_line(reason) for reason in rule["reasons"]]
            for rule in document["rules"]
            if rule["status"] == FAILED
        },
    }


def in_short(reasons: Sequence[str]) -> str:
    """As many of them as are short enough together, at least one, and how many more there are."""
    told, *others = reasons
    for number, other in enumerate(others):
        longer = f"{told}{'' if told.endswith('.') else ';'} {other}"
        if len(longer) > LONGEST:
            return f"{told} (and {len(others) - number} more)"
        told = longer
    return told


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 4]} ..."


def page_text() -> str:
    """The page."""
    peers = tomllib.loads((PEERS / "peers.toml").read_text(encoding="utf-8"))
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in RESULTS.glob("*.json")}
    ours = {name: found[name] for name in matrix() if name in found}
    theirs = {name: found[name] for name in peers if name in found}
    titles = {name: f"`{name}`" for name in ours} | {name: peers[name]["title"] for name in theirs}
    everyone = {**ours, **theirs}
    parts = [
        _HEAD,
        "## All rules\n",
        *_totals(everyone, titles),
        "## Section by section\n",
        "MUST and SHOULD together.\n",
        *_sections(everyone, titles),
        "## What they are\n",
        *(_description(name, peers[name], theirs.get(name, {})) for name in peers),
        "",
        *(line for name, result in ours.items() for line in _differences(name, result)),
        *(line for name, result in theirs.items() for line in _broken(titles[name], result)),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _totals(everyone: Mapping[str, Any], titles: Mapping[str, str]) -> Iterator[str]:
    yield "| image | MUST | SHOULD | not claimed | could not tell | tried on |"
    yield "|---|---|---|---|---|---|"
    for name, result in everyone.items():
        cells = [titles[name], *(_kept(result, level) for level in LEVELS)]
        cells += [str(_count(result, status)) for status in (NOT_CLAIMED, COULD_NOT_TELL)]
        yield _row([*cells, result["date"]])
    yield ""


def _sections(everyone: Mapping[str, Any], titles: Mapping[str, str]) -> Iterator[str]:
    tried = [name for name in SECTIONS if any(name in result["sections"] for result in everyone.values())]
    yield _row(["image", *tried])
    yield "|---" * (len(tried) + 1) + "|"
    for name, result in everyone.items():
        yield _row([titles[name], *(_kept(result, section=section) for section in tried)])
    yield ""
    yield "; ".join(f"{name}: {SECTIONS[name]}" for name in tried) + ".\n"


def _kept(result: Mapping[str, Any], level: str = "", section: str = "") -> str:
    kept, broken = (_count(result, status, level, section) for status in (PASSED, FAILED))
    return f"{kept} of {kept + broken}" if kept + broken else "-"


def _count(result: Mapping[str, Any], status: str, level: str = "", section: str = "") -> int:
    return sum(
        counts.get(status, 0)
        for name, levels in result["sections"].items()
        for one, counts in levels.items()
        if (not level or one == level) and (not section or name == section)
    )


def _description(name: str, peer: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{package} {version}" for package, version in result.get("versions", {}).items())
    versions = versions or "No result yet"
    return (
        f"- **{peer['title']}** ([tests/peers/{name}](../tests/peers/{name})): {peer['about']}. {versions}."
    )


def _differences(name: str, result: Mapping[str, Any]) -> Iterator[str]:
    if _known(result):
        family = matrix()[name].folder.name
        yield f"## `{name}`: where it differs\n"
        page = f"[containers/{family}](../containers/{family}/README.md)"
        yield f"Tests show each difference, and fail where it is gone. All of them: {page}.\n"
        yield from _rules_and(result, "why")


def _broken(title: str, result: Mapping[str, Any]) -> Iterator[str]:
    if _known(result):
        yield f"## {title}: what it breaks\n"
        yield from _rules_and(result, "what was seen")


def _known(result: Mapping[str, Any]) -> dict[str, list[str]]:
    return {rule: seen for rule, seen in result["broken"].items() if rule in rules()}


def _rules_and(result: Mapping[str, Any], what: str) -> Iterator[str]:
    yield f"| rule | level | what it says | {what} |"
    yield "|---|---|---|---|"
    for rule, seen in sorted(_known(result).items(), key=lambda one: LEVELS.index(rules()[one[0]].level)):
        yield _row([rule, rules()[rule].level.upper(), rules()[rule].text, in_short(seen)])
    yield ""


def _row(cells: list[str]) -> str:
    escaped = (cell.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ") for cell in cells)
    return "| " + " | ".join(escaped) + " |"


def generate() -> dict[Path, str]:
    """The page, with the content that it should have."""
    return {PAGE: page_text()}
