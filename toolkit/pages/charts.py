"""Plots of the report pages: SVG by pygal, coloured by the page's CSS variables, without any script."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pygal
from pygal.style import Style

Points = Sequence[tuple[float, float]]

MOST_POINTS = 300
HIGHEST = 1e100
SERIES = 6  # colours of page.css
LEGEND_COLUMNS = 3
LEGEND_ROW = 24  # pixels
LABELS = 6  # of an axis, at most
DIGITS = 9  # of a point

_STYLE = Style(
    background="transparent",
    plot_background="transparent",
    foreground="var(--muted)",
    foreground_strong="var(--ink)",
    foreground_subtle="var(--line)",
    opacity=".8",
    opacity_hover="1",
    colors=tuple(f"var(--series-{number})" for number in range(1, SERIES + 1)),
    font_family="inherit",
    label_font_size=13,
    major_label_font_size=13,
    legend_font_size=14,
)
_SHAPE: Mapping[str, Any] = {
    "style": _STYLE,
    "width": 520,
    "height": 300,
    "js": [],  # pygal's tooltips would be loaded from the network
    "disable_xml_declaration": True,
    "legend_at_bottom": True,
    "show_x_guides": False,
    "margin": 8,
    "margin_bottom": 14,  # below a legend's letters
    "explicit_size": False,
    "max_scale": LABELS,
    "truncate_legend": 32,
    "legend_box_size": 11,
}


@dataclass(frozen=True)
class Axis:
    """How an axis is written: its `title`, and the `factor` from the unit given to that of the title.

    A y axis has its title in the heading of the plot: beside it, it would take a phone's width.
    """

    title: str
    factor: float = 1.0


def time_axis(seconds: float) -> Axis:
    """Seconds, minutes or hours, by how many there are."""
    if seconds < 180:
        return Axis("s")
    return Axis("min", 1 / 60) if seconds < 3 * 3600 else Axis("h", 1 / 3600)


def bytes_axis(highest: float, ending: str = "") -> Axis:
    """kB, MB or GB, by the highest value; `ending` such as `/s`."""
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if highest >= size:
            return Axis(unit + ending, 1 / size)
    return Axis("kB" + ending, 1e-3)


def lines(series: Mapping[str, Points], x: Axis, y: Axis, from_zero: bool = True, up_to: float = 0.0) -> str:
    """Values over time; single points where there is only one.

    Args:
        series: name -> (x, y), in the units that the axes' factors start from.
        x: the axis.
        y: the axis.
        from_zero: the y axis begins at 0.
        up_to: and reaches this at least, in the title's unit.
    """
    chart = _xy(series, x, y, show_dots=max(map(len, series.values()), default=0) <= 12, dots_size=3)
    highest = max((value for points in series.values() for _, value in points), default=0.0) * y.factor
    if from_zero:
        chart.config.range = (0, max(highest * 1.05, up_to) or 1)
    return _svg(chart)


def dots(
    series: Mapping[str, Points], x: Axis, y: Axis, logarithmic: bool = False, names: Sequence[str] = ()
) -> str:
    """One dot a point.

    Args:
        series: name -> (x, y).
        x: the axis.
        y: the axis.
        logarithmic: the x axis; all x must be above 0.
        names: of the x values 1, 2, ...; empty where these are numbers.
    """
    if logarithmic:
        series = {name: [(math.log10(a), b) for a, b in points] for name, points in series.items()}
    chart = _xy(series, x, y, stroke=False, dots_size=4)
    if logarithmic:
        chart.x_labels = _round_powers([a for points in series.values() for a, _ in points])
    if names:
        chart.config.xrange = (0.5, len(names) + 0.5)
        chart.x_labels = [{"label": name, "value": place} for place, name in enumerate(names, 1)]
    return _svg(chart, x_value=(lambda value: 10**value) if logarithmic else None)


def dots_and_line(dotted: Mapping[str, Points], line: Mapping[str, Points], x: Axis, y: Axis) -> str:
    """Dots, and a line through points of its own."""
    chart = _xy({}, x, y, dots_size=4)
    for name, points in line.items():
        chart.add(name, _scaled(points, x, y), show_dots=len(points) == 1)
    for name, points in dotted.items():
        chart.add(name, _scaled(points, x, y), stroke=False)
    _make_room_for_legend(chart)
    return _svg(chart)


def _xy(series: Mapping[str, Points], x: Axis, y: Axis, **settings: Any) -> Any:
    shape = {**_SHAPE, "show_legend": len(series) != 1, **settings}
    chart = pygal.XY(**shape, x_title=x.title or None)
    for name, points in series.items():
        chart.add(name, _scaled(points, x, y))
    _make_room_for_legend(chart)
    return chart


def _scaled(points: Points, x: Axis, y: Axis) -> list[tuple[float, float]]:
    step = max(1, math.ceil(len(points) / MOST_POINTS))
    kept = [*points[:-1:step], *points[-1:]]
    return [(_drawable(a * x.factor), _drawable(b * y.factor)) for a, b in kept]


def _drawable(value: float) -> float:
    """So many digits, and within what pygal can scale: of 1e200 it makes an OverflowError."""
    return float(f"{min(max(value, -HIGHEST), HIGHEST):.{DIGITS}g}")


def _make_room_for_legend(chart: Any) -> None:
    """Height for every row of a legend of several; pygal reckons with the first alone."""
    series = len(chart.raw_series)
    columns = max(1, min(series, LEGEND_COLUMNS))
    more = LEGEND_ROW * (math.ceil(series / columns) - 1)
    chart.config.legend_at_bottom_columns = columns
    chart.config.margin_bottom = _SHAPE["margin_bottom"] + more
    chart.config.height = _SHAPE["height"] + more


def _svg(chart: Any, x_value: Any = None) -> str:
    points = [point for serie in chart.raw_series for point in serie[0]]
    chart.config.value_formatter = _written([y for _, y in points])
    write = _written([x for x, _ in points])
    chart.config.x_value_formatter = (lambda value: _short(x_value(value))) if x_value else write
    svg = chart.render(is_unicode=True)
    # The page has no script, and the plot is described by its heading.
    svg = re.sub(r"<script.*?</script>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<desc.*?</desc>", "", svg, flags=re.DOTALL)
    return re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)


def _written(values: Sequence[float]) -> Callable[[float], str]:
    """How an axis over these values is labelled: with as many digits as tell its labels apart."""
    step = (max(values, default=0.0) - min(values, default=0.0)) / LABELS
    if not step:
        return _short
    highest = max(abs(value) for value in values)
    digits = min(max(3, math.ceil(math.log10(highest / step)) + 1), DIGITS)
    return lambda value: _short(value, digits)


def _round_powers(exponents: Sequence[float]) -> list[float] | None:
    """Of the exponents of 1, 2 and 5 times a power of ten those within the data; None leaves it to pygal."""
    low, high = min(exponents, default=0.0), max(exponents, default=0.0)
    decades = range(math.floor(low), math.ceil(high) + 1)
    for digits in ((1,), (1, 3), (1, 2, 5)):
        found = [decade + math.log10(digit) for decade in decades for digit in digits]
        within = [exponent for exponent in found if low <= exponent <= high]
        if len(within) >= 3:
            return within[:: math.ceil(len(within) / LABELS)]
    return None


def _short(value: float, digits: int = 3) -> str:
    if not 1000 <= abs(value) < 1e9:  # a label wider than the plot keeps pygal busy for ever
        return f"{value:.{digits}g}"
    return f"{value:,.{max(0, digits - len(str(int(abs(value)))))}f}"
