"""Parts of a report page: one HTML file, no network, no script; light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

_CSS = Path(__file__).parent / "page.css"


def write(path: Path, title: str, parts: Iterable[str]) -> None:
    """Write the page; `parts` are HTML."""
    body = "\n".join(part for part in parts if part)
    path.write_text(
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_CSS.read_text(encoding='utf-8')}</style>\n</head>\n"
        f"<body>\n<h1>{escape(title)}</h1>\n{body}\n</body>\n</html>\n",
        encoding="utf-8",
    )


def muted(text: str) -> str:
    """A paragraph in small grey letters."""
    return f'<p class="muted">{escape(text)}</p>'


def facts(values: Mapping[str, str]) -> str:
    """Large figures in a row: name -> value."""
    cells = "".join(
        f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for name, value in values.items()
    )
    return f'<div class="facts">{cells}</div>'


def failure(reason: str | None) -> str:
    """A failure reason as it stands; nothing where there is none."""
    return f'<div class="failure" role="alert">{escape(reason)}</div>' if reason else ""


def insights(heading: str, sentences: Sequence[tuple[str, str]]) -> str:
    """A list of (sentence, the rule behind it)."""
    items = "".join(
        f"<li>{escape(text)}<small>Rule: {escape(rule)}.</small></li>" for text, rule in sentences
    )
    return f'<h2>{escape(heading)}</h2>\n<ul class="insights">{items}</ul>' if items else ""


def figures(heading: str, plots: Mapping[str, str]) -> str:
    """Plots side by side: heading -> SVG; nothing where there is none."""
    if not plots:
        return ""
    cells = "".join(f"<figure><h3>{escape(title)}</h3>{svg}</figure>" for title, svg in plots.items())
    return f'<h2>{escape(heading)}</h2>\n<div class="plots">{cells}</div>'


def table(
    heading: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    text: int = 1,
    best: int = -1,
    most: int = 25,
) -> str:
    """A table; nothing where it has no rows.

    Args:
        heading: above it.
        head: the columns' names; empty for none.
        rows: cells.
        text: the first so many columns are text, the others numbers.
        best: the row to mark.
        most: rows that are seen at once; the others are folded away.
    """
    if not rows:
        return ""

    def cell(tag: str, column: int, value: str) -> str:
        kind = ' class="text"' if column < text else ""
        return f"<{tag}{kind}>{escape(value)}</{tag}>"

    titles = "".join(cell("th", column, name) for column, name in enumerate(head))
    titles = f"<thead><tr>{titles}</tr></thead>" if head else ""
    lines = [
        f"<tr{' class=best' if number == best else ''}>"
        f"{''.join(cell('td', column, value) for column, value in enumerate(row))}</tr>"
        for number, row in enumerate(rows)
    ]

    def written(part: Sequence[str]) -> str:
        return f'<div class="scroll"><table>{titles}<tbody>{"".join(part)}</tbody></table></div>'

    shown = most if len(rows) > most + 3 else len(rows)  # two or three are not worth a click
    more = ""
    if lines[shown:]:
        more = f"<details><summary>{len(rows) - shown} more</summary>{written(lines[shown:])}</details>"
    return f"<h2>{escape(heading)}</h2>\n{written(lines[:shown])}{more}"
