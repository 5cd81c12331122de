"""A verification as other programs read it: JUnit's XML for a CI system, and a badge for a page."""

from __future__ import annotations

from html import escape
from pathlib import Path
from xml.etree import ElementTree

from toolkit.verify.contract import rules
from toolkit.verify.findings import tried, verdict
from toolkit.verify.results import FAILED, PASSED, TestResult, Verification

CHARACTER = 6.6  # pixels, of the badge's letters
COLOURS = {True: "#1f7a45", False: "#b3261e", None: "#5b6470"}  # as `Verification.honours`


def write_junit(path: Path, verification: Verification) -> None:
    """Write one test case a test: those of the rules asked for, as pytest and most CI systems have it."""
    asked = {result.rule.id for result in verification.rules}
    tests = [test for test in verification.tests if asked.intersection(test.rules)]
    failures = [test for test in tests if asked.intersection(test.broken)]
    skipped = [test for test in tests if test.status not in (PASSED, FAILED)]
    suite = ElementTree.Element(
        "testsuite",
        name=verification.image + (f", only {tried(verification)}" if verification.only else ""),
        tests=str(len(tests)),
        failures=str(len(failures)),
        errors="0",
        skipped=str(len(skipped)),
        time=f"{verification.seconds:.1f}",
        timestamp=verification.started,
    )
    for test in tests:
        _case(suite, test, is_failure=test in failures)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _case(suite: ElementTree.Element, test: TestResult, is_failure: bool) -> None:
    module, _, name = test.name.partition("::")
    case = ElementTree.SubElement(
        suite, "testcase", classname=_legal(module), name=_legal(name), time=f"{test.seconds:.2f}"
    )
    if is_failure:
        advice = {rule: rules()[rule].advice(test.cause) for rule in test.broken}
        text = [f"{rule}: {shows}\n  Cure: {cure}" for rule, (shows, cure) in advice.items()]
        failure = ElementTree.SubElement(
            case, "failure", message=_legal(f"{', '.join(test.broken)}: {test.seen}")
        )
        failure.text = _legal("\n".join([*text, test.notes]).strip())
    elif test.status != PASSED:
        ElementTree.SubElement(case, "skipped", message=_legal(f"{test.status}: {test.seen}"))


def _legal(text: str) -> str:
    """Without the characters that XML cannot hold: what was seen may be anything."""
    return "".join(character for character in text if character in "\t\n" or character >= " ").replace(
        "\ufffe", ""
    )


def write_badge(path: Path, verification: Verification) -> None:
    """Write an SVG of one line, for a README."""
    passed, failed = (verification.count("must", status) for status in (PASSED, FAILED))
    label = "SageMaker contract" + (f", only {tried(verification)}" if verification.only else "")
    value = f"{passed} of {passed + failed} MUST"
    left, right = (round(len(text) * CHARACTER + 14) for text in (label, value))
    colour = COLOURS[verification.honours]
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img">'
        f"<title>{escape(verdict(verification))}</title>"
        f'<clipPath id="r"><rect width="{left + right}" height="20" rx="3"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{left}" height="20" fill="#4a5058"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{colour}"/></g>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="{left / 2}" y="14" textLength="{left - 14}">{escape(label)}</text>'
        f'<text x="{left + right / 2}" y="14" textLength="{right - 14}">{value}</text></g></svg>\n',
        encoding="utf-8",
    )
