"""The page of a report, and the parts that reports have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from opt_ml.tables.files import Source


def write_page(path: Path, title: str, summary: str, sections: Iterable[str]) -> None:
    """Write the page: a heading, one line of text below it, and sections of HTML."""
    css = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    body = "\n".join((f"<h1>{escape(title)}</h1>", f'<p class="muted">{escape(summary)}</p>', *sections))
    path.write_text(
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{css}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n",
        encoding="utf-8",
    )


def tiles(facts: Iterable[tuple[str, str]]) -> str:
    """The few numbers that matter most, each as (name, value)."""
    cells = "".join(f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for name, value in facts)
    return f'<div class="facts">{cells}</div>'


def figures(plots: Iterable[tuple[str, str]]) -> str:
    """Plots side by side, each as (heading, SVG or HTML)."""
    return (
        '<div class="plots">'
        + "".join(f"<figure><h3>{escape(h)}</h3>{svg}</figure>" for h, svg in plots)
        + "</div>"
    )


def table(head: Sequence[str], lines: Sequence[str]) -> str:
    """A table of lines made by `row`."""
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = f"<thead><tr>{cells}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<div class="scroll"><table>{body}</table></div>'


def row(name: str, cells: Sequence[Any], kind: str = "") -> str:
    """One line of a table; a cell is a text, or (CSS class, HTML)."""
    written = "".join(
        f'<td class="{cell[0]}">{cell[1]}</td>'
        if isinstance(cell, tuple)
        else f"<td>{escape(str(cell))}</td>"
        for cell in cells
    )
    return f'<tr class="{kind}"><th>{escape(name)}</th>{written}</tr>'


def bar(share: float) -> tuple[str, str]:
    """A cell for `row`: a bar of that share (0 to 1) of the column's width."""
    return "bar", f'<i style="width:{100 * max(share, 0.0):.1f}%"></i>'


def short(value: float | None) -> str:
    """A number as a person reads it in a table; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.4g}".rstrip(".")


def confusion(
    classes: Sequence[object], truth: NDArray[np.integer[Any]], chosen: NDArray[np.integer[Any]]
) -> str:
    """How many rows of each class were taken for which; both of shape (rows,), positions in `classes`."""
    size = len(classes)
    counts = np.zeros((size, size), dtype=int)
    np.add.at(counts, (truth, chosen), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    lines = []
    for code, name in enumerate(classes):
        cells = "".join(
            f'<td style="--share:{60 * shares[code, other]:.0f}%">{counts[code, other]}</td>'
            for other in range(size)
        )
        lines.append(f"<tr><th>{escape(str(name))}</th>{cells}</tr>")
    head = "".join(f"<th>{escape(str(name))}</th>" for name in classes)
    return (
        f'<div class="scroll confusion"><table><thead><tr><th>true \\ predicted</th>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def sources(channels: Mapping[str, Iterable[Source]], versions: Mapping[str, str]) -> str:
    """What a model was trained from: the files of each channel, and the versions of the libraries."""
    lines = [
        f"<tr><td>{escape(name)}</td><td>{escape(source.path.name)}</td><td>{source.rows:,}</td>"
        f"<td><code>{source.sha256[:12]}</code></td></tr>"
        for name, files in channels.items()
        for source in files
    ]
    libraries = ", ".join(f"{name} {number}" for name, number in versions.items())
    return (
        '<h2>Trained from</h2><div class="scroll files"><table><thead><tr><th>channel</th><th>file</th>'
        f"<th>rows</th><th>sha256</th></tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
        f'<p class="muted">{escape(libraries)}</p>'
    )
