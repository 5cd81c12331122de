"""Medians over the rounds: a table as Markdown and CSV, a plot, and how far the goals are."""

from __future__ import annotations

import csv
import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pygal
from pygal.style import CleanStyle

from benchmarks.serving.measure import Case, Visit
from benchmarks.serving.peers import PEERS, WORKERS

Loops = Mapping[int, Sequence[tuple[float, float]]]
_PLOTTED = Case(1, 64)


def write_report(
    visits: Mapping[str, Sequence[Visit]], loops: Loops, cases: Sequence[Case], folder: Path, effort: str
) -> str:
    """Write table.md, table.csv and throughput.svg into `folder`; returns the Markdown."""
    measured = {name: found for name, found in visits.items() if found}
    rows = [_row(name, found, cases) for name, found in measured.items()]
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)
    parts = [[_conditions(effort)], _table(rows), _loop_lines(loops), _goal_lines(measured, loops)]
    text = "\n".join(line for part in parts for line in (*part, ""))
    (folder / "table.md").write_text(text, encoding="utf-8")
    if all(_PLOTTED in one.loads for found in measured.values() for one in found):
        _plot(measured, folder / "throughput.svg")
    return text


def median(found: Sequence[Visit], value: Callable[[Visit], float]) -> float:
    """The median of one figure over the rounds."""
    return statistics.median(value(one) for one in found)


def rate(found: Sequence[Visit], case: Case) -> float:
    """Median of the good answers a second."""
    return median(found, lambda one: one.loads[case].rate)


def _row(name: str, found: Sequence[Visit], cases: Sequence[Case]) -> dict[str, str]:
    row = {"server": PEERS[name].title}
    for case in cases:
        label = f"{case.rows} row{'s' * (case.rows > 1)}, c={case.connections}"
        p50 = median(found, lambda one, case=case: one.loads[case].p50)  # type: ignore[misc]
        p99 = median(found, lambda one, case=case: one.loads[case].p99)  # type: ignore[misc]
        row[f"{label}: req/s"] = _short(rate(found, case))
        row[f"{label}: p50/p99 ms"] = f"{_short(p50)}/{_short(p99)}"
    row["PSS MB idle"] = f"{median(found, lambda one: one.idle_memory):.0f}"
    for rows in found[0].memory:
        memory = median(found, lambda one, rows=rows: one.memory[rows])  # type: ignore[misc]
        row[f"PSS MB after {rows} row{'s' * (rows > 1)}"] = f"{memory:.0f}"
    row["processes"] = f"{median(found, lambda one: one.processes):.0f}"
    row["healthy s"] = f"{median(found, lambda one: one.healthy):.2f}"
    row["first answer s"] = f"{median(found, lambda one: one.answered):.2f}"
    row["failed"] = str(sum(load.failures for one in found for load in one.loads.values()))
    row["wrong"] = str(sum(one.wrong for one in found))
    return row


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _table(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Markdown, a line a server."""
    if not rows:
        return []
    lines = [rows[0].keys(), ["---"] * len(rows[0]), *(row.values() for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def _conditions(effort: str) -> str:
    now = datetime.now(UTC).strftime("%Y-%m-%d")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{now}, {WORKERS} CPUs ({_processor()}), Python {platform.python_version()}, "
        f"{effort}, medians; load average at the end {load}."
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _loop_lines(loops: Loops) -> list[str]:
    """The limit that the libraries set."""
    lines = [
        "| limit: bare loop on every CPU, calls/s | predict | parse, predict, write |",
        "|---|---|---|",
    ]
    for rows, found in loops.items():
        alone, whole = (statistics.median(values) for values in zip(*found, strict=True))
        lines.append(f"| {rows} row{'s' * (rows > 1)} | {alone:.1f} | {whole:.1f} |")
    return lines


def _goal_lines(measured: Mapping[str, Sequence[Visit]], loops: Loops) -> list[str]:
    """What is wanted of native, and what it is; only what this run has measured."""
    lines = ["| goal | wanted | measured |", "|---|---|---|"]
    native = measured.get("native")
    if not native:
        return []
    for name in ("mms", "mms-toolkit", "scikit-learn", "torchserve"):
        other = measured.get(name)
        if other:
            lines += _goals_against(name, native, other)
    large = [case for case in native[0].loads if case.rows > 1]
    if large:
        best = max(rate(native, case) for case in large)
        limit = statistics.median(alone for alone, _ in loops[large[0].rows])
        lines.append(f"| {large[0].rows} rows, share of the bare loop | >= 0.9 | {best / limit:.2f} |")
    return lines


def _goals_against(name: str, native: Sequence[Visit], other: Sequence[Visit]) -> list[str]:
    title = PEERS[name].title
    lines = []
    many, single = Case(1, 64), Case(1, 1)
    if many in native[0].loads:
        times = rate(native, many) / rate(other, many)
        wanted = 8 if name == "torchserve" else 40
        lines.append(f"| requests/s at 64 connections, times {title} | >= {wanted} | {times:.1f} |")
    if name in ("torchserve", "scikit-learn"):
        return lines
    if single in native[0].loads:
        times = rate(native, single) / rate(other, single)
        lines.append(f"| requests/s at 1 connection, times {title} | >= 10 | {times:.1f} |")
    if many in native[0].loads:
        p99 = [median(found, lambda one: one.loads[many].p99) for found in (native, other)]
        lines.append(f"| p99 at 64 connections, share of {title} | <= 0.05 | {p99[0] / p99[1]:.3f} |")
    for rows in native[0].memory:
        share = [median(found, lambda one, rows=rows: one.memory[rows]) for found in (native, other)]  # type: ignore[misc]
        what = f"memory after requests of {rows} row{'s' * (rows > 1)}"
        lines.append(f"| {what}, share of {title} | <= 0.2 | {share[0] / share[1]:.2f} |")
    start = median(native, lambda one: one.answered) / median(other, lambda one: one.answered)
    lines.append(f"| start to first answer, share of {title} | <= 0.1 | {start:.2f} |")
    return lines


def _plot(measured: Mapping[str, Sequence[Visit]], path: Path) -> None:
    """Requests a second at 64 connections, one bar a server; the null server would dwarf them."""
    found = sorted(
        (rate(visits, _PLOTTED), name) for name, visits in measured.items() if PEERS[name].predicts
    )
    chart = pygal.HorizontalBar(
        style=CleanStyle(
            background="white",
            plot_background="white",
            font_family="sans-serif",
            guide_stroke_color="#ccc",
            label_font_size=12,
        ),
        show_legend=False,
        show_x_guides=False,
        show_y_guides=True,
        value_formatter=lambda value: f"{value:,.0f}",
        title="Answers a second: one row of CSV, 64 connections",
        js=[],
        width=900,
        height=110 + 34 * len(found),
    )
    chart.x_labels = [f"{PEERS[name].title}: {value:,.0f}" for value, name in found]
    chart.add("answers a second", [round(value, 1) for value, _ in found])
    chart.render_to_file(str(path))
