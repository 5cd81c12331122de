"""How a verification is shown on a terminal: live while the tests run, and the report after them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TextIO

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from toolkit.live_view import LiveView
from toolkit.verify.claims import NAMES, Claims
from toolkit.verify.findings import Finding, findings, left_open, verdict
from toolkit.verify.results import FAILED, STATUSES, TestResult, Verification

WIDTH = 80  # of a stream that is no terminal
MOST_SEEN = 4  # of one finding
MOST_NOTES = 8  # lines of a container
VERDICTS = {True: "bold green", False: "bold red", None: "bold"}  # as `Verification.honours`
MAIN = ("train", "serve")  # what an image is there for


class View(LiveView):
    """Shows the tests as they run; a `toolkit.verify.suite.Progress`.

    Args:
        stream: a terminal gets a line that is drawn anew, anything else a line for each test that fails.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream, refreshes=4)
        if not self._console.is_terminal:
            self._console.width = WIDTH
        self._total = self._done = self._failed = 0
        self._running: dict[str, None] = {}

    def found(self, tests: int) -> None:
        """So many tests will be run."""
        self._total = tests
        self._draw()

    def begins(self, test: str) -> None:
        """One has begun."""
        self._running[test] = None
        self._draw()

    def ended(self, test: TestResult) -> None:
        """One has ended; a failure is told at once."""
        self._running.pop(test.name, None)
        self._done += 1
        if test.status == FAILED:
            self._failed += 1
            self._console.print(Text(f"  failed: {test.sentence}", style="red"), soft_wrap=True)
        self._draw()

    def _draw(self) -> None:
        if self._console.is_terminal:
            self._live.update(self._screen())

    def _screen(self) -> RenderableType:
        failed = f", {self._failed} failed" if self._failed else ""
        line = Text(f"{self._done} of {self._total} tests{failed}", style="bold")
        for test in list(self._running)[:4]:
            line.append(f"\n  {test.partition('::test_')[2].replace('_', ' ')}", style="dim")
        line.no_wrap, line.overflow = True, "ellipsis"
        return line

    def claims(self, facts: Mapping[str, str], claims: Claims) -> None:
        """What the image is, and what it claims."""
        print_line = self._console.print
        layers = f"{facts['layers']} layer{'s' * (facts['layers'] != '1')}"
        shape = f"{facts['platform']}, {facts['size']}, {layers}"
        print_line(f"{shape}; profile: {facts['profile']}", soft_wrap=True)
        for name, (claimed, why) in claims.items():
            if claimed or name in MAIN:
                mark = Text("yes" if claimed else "no", style="green" if claimed else "red")
                print_line(_hanging(mark, Text(f"{NAMES[name]}: {why}"), 5))
        not_claimed = [
            NAMES[name] for name, (claimed, _) in claims.items() if not claimed and name not in MAIN
        ]
        if not_claimed:
            print_line(_hanging(Text("no"), Text(", ".join(not_claimed), style="dim"), 5))
        print_line()

    def report(self, verification: Verification, files: Sequence[str]) -> None:
        """All that a person needs to repair the image."""
        self._live.stop()
        print_line = self._console.print
        print_line()
        told = ""
        for finding in findings(verification):
            self._finding(finding, finding.notes if finding.notes != told else "")
            told = finding.notes or told
        self._open(verification)
        print_line(_counts(verification))
        print_line()
        print_line(Text(verdict(verification), style=VERDICTS[verification.honours]))
        print_line(Text(f"{len(verification.tests)} tests in {verification.seconds:.0f} s", style="dim"))
        for path in files:
            print_line(path, soft_wrap=True)

    def _finding(self, finding: Finding, notes: str) -> None:
        print_line = self._console.print
        others = f" ({', '.join(finding.others)})" if finding.others else ""
        style = "bold red" if finding.rule.level == "must" else "bold yellow"
        print_line(Text(f"{finding.rule.level.upper()} {finding.rule.id}{others}", style=style))
        print_line(Padding(Text(finding.rule.text.replace("**", "")), (0, 0, 0, 2)))
        for seen, facts in list(finding.seen.items())[:MOST_SEEN]:
            print_line(_labelled("Expected", "; ".join(facts[:3]) + (" ..." if len(facts) > 3 else "")))
            print_line(_labelled("Seen", seen))
        if len(finding.seen) > MOST_SEEN:
            print_line(_labelled("", f"and {len(finding.seen) - MOST_SEEN} more, in --html and --json"))
        if notes:
            last = "\n".join(notes.splitlines()[-MOST_NOTES:])
            print_line(_labelled("Log", last, "dim"))
        for shows, cure in finding.advice:
            print_line(_labelled("SageMaker", shows))
            print_line(_labelled("Cure", cure, "green"))
        print_line()

    def _open(self, verification: Verification) -> None:
        for (status, reason), results in left_open(verification).items():
            ids = ", ".join(result.rule.id for result in results[:6])
            more = f" and {len(results) - 6} more" if len(results) > 6 else ""
            self._console.print(
                _hanging(Text(f"{status:<16}", style="dim"), Text(f"{reason} ({ids}{more})", style="dim"), 16)
            )
        if left_open(verification):
            self._console.print()


def _hanging(head: Text, body: Text, width: int) -> Table:
    grid = Table.grid(padding=0)
    grid.add_column(width=width, no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(head, body)
    return grid


def _labelled(label: str, text: str, style: str = "") -> Padding:
    return Padding(_hanging(Text(label, style="dim"), Text(text, style=style), 11), (0, 0, 0, 2))


def _counts(verification: Verification) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("rules")
    for status in STATUSES:
        table.add_column(status, justify="right")
    for level in ("must", "should", "may"):
        counts = [verification.count(level, status) for status in STATUSES]
        if any(counts):
            cells = [
                Text(str(count), style="red" if status == FAILED and count else "")
                for status, count in zip(STATUSES, counts, strict=True)
            ]
            table.add_row(level.upper(), *cells)
    return table
