"""The plots of the report: SVG by pygal, coloured by the page's CSS variables, without any script."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pygal
from numpy.typing import NDArray
from pygal.style import Style
from sklearn.metrics import roc_curve

MOST_POINTS = 500
MOST_CURVE_POINTS = 120
MOST_ROC_CLASSES = 5  # and the line of chance: pygal cannot darken the CSS variables that colours are
BINS = 21
LEGEND_COLUMNS = 3
LEGEND_ROW = 24  # pixels

_STYLE = Style(
    background="transparent",
    plot_background="transparent",
    foreground="var(--muted)",
    foreground_strong="var(--ink)",
    foreground_subtle="var(--line)",
    opacity=".65",
    opacity_hover="1",
    colors=tuple(f"var(--series-{number})" for number in range(1, 7)),
    value_colors=("var(--ink)",) * 6,
    value_label_font_size=13,
    font_family="inherit",
    label_font_size=13,
    major_label_font_size=13,
    legend_font_size=14,
    title_font_size=15,
)
_SHAPE: Mapping[str, Any] = {
    "style": _STYLE,
    "width": 520,
    "height": 380,
    "js": [],  # pygal's tooltips would be loaded from the network
    "disable_xml_declaration": True,
    "legend_at_bottom": True,
    "show_x_guides": False,
    "margin": 8,
    "explicit_size": False,
    "x_labels_major_count": 6,
    "y_labels_major_count": 6,
    "print_values": False,
    "truncate_legend": 24,
    "truncate_label": -1,  # "-1..." is no number
    "legend_box_size": 11,
}


def predicted_against_true(truth: NDArray[Any], predicted: NDArray[Any]) -> str:
    """One dot a row (both of shape (rows,)), and the line on which a perfect model would put them."""
    rows = _sample(len(truth))
    low = float(min(truth[rows].min(), predicted[rows].min()))
    high = float(max(truth[rows].max(), predicted[rows].max()))
    chart = pygal.XY(**_SHAPE, stroke=False, dots_size=3, x_title="true", y_title="predicted", max_scale=6)
    chart.add("rows", _points(truth[rows], predicted[rows]))
    chart.add("perfect", [(low, low), (high, high)], stroke=True, show_dots=False)
    return _svg(chart)


def residuals(truth: NDArray[Any], predicted: NDArray[Any]) -> str:
    """How many rows were predicted how far from the truth, both of shape (rows,)."""
    counts, edges = np.histogram(predicted - truth, bins=BINS)
    chart = pygal.Histogram(**{**_SHAPE, "show_legend": False}, x_title="predicted - true", y_title="rows")
    chart.add(
        "rows", [(int(n), float(a), float(b)) for n, a, b in zip(counts, edges, edges[1:], strict=False)]
    )
    return _svg(chart)


def roc(
    classes: Sequence[object],
    codes: NDArray[np.integer[Any]],
    predicted: NDArray[Any],
    weight: NDArray[Any] | None = None,
) -> str:
    """Receiver operating characteristic: of the second of two classes, or of each class against the rest.

    Args:
        classes: their names.
        codes: shape (rows,): the true class of each row, by its position in `classes`.
        predicted: shape (rows, classes): probabilities.
        weight: shape (rows,), or None.
    """
    chart = pygal.XY(
        **_SHAPE,
        show_dots=False,
        x_title="false positive rate",
        y_title="true positive rate",
        range=(0, 1),
        xrange=(0, 1),
        max_scale=6,
    )
    shown = [1] if len(classes) == 2 else list(range(len(classes)))[:MOST_ROC_CLASSES]
    for code in shown:
        positive = codes == code
        if positive.any() and not positive.all():
            wrong, right, _ = roc_curve(positive, predicted[:, code], sample_weight=weight)
            kept = _thinned(len(wrong))
            chart.add(str(classes[code]), _points(wrong[kept], right[kept]))
    chart.add("chance", [(0, 0), (1, 1)], stroke_style={"dasharray": "4, 6"})
    _make_room_for_legend(chart)
    return _svg(chart)


def labelled_points(
    points: Sequence[tuple[str, float, float]], chosen: str, x_title: str, y_title: str
) -> str:
    """A dot with its name for each (name, x, y); the chosen one has a colour of its own."""
    low, high = min(y for _, _, y in points), max(y for _, _, y in points)
    spare = (high - low or abs(high) or 1.0) / 8
    chart = pygal.XY(
        **{**_SHAPE, "width": 1040, "show_legend": False},
        # Names stand to the right of their dots and below them.
        xrange=(0, 1.2 * max(x for _, x, _ in points)),
        range=(low - spare, high + spare),
        stroke=False,
        dots_size=5,
        print_labels=True,
        x_title=x_title,
        y_title=y_title,
        max_scale=6,
    )
    for is_chosen in (False, True):
        dots = [(name, x, y) for name, x, y in points if (name == chosen) is is_chosen]
        chart.add(
            "", [{"value": _points(np.array([x]), np.array([y]))[0], "label": name} for name, x, y in dots]
        )
    return _svg(chart)


def learning_curve(metric: str, held_out: Sequence[float], trained_on: Sequence[float]) -> str:
    """Loss by round on the rows trained on and on those held out."""
    kept = _thinned(len(held_out))
    chart = pygal.XY(**_SHAPE, show_dots=False, x_title="round", y_title=metric, max_scale=6)
    chart.add("held out", [(int(i) + 1, float(held_out[i])) for i in kept])
    chart.add("trained on", [(int(i) + 1, float(trained_on[i])) for i in kept])
    return _svg(chart)


def forecast(past: Sequence[float], truth: Sequence[float], lines: Mapping[str, Sequence[float]]) -> str:
    """What was forecast beside what came, by step: those before the forecast are negative.

    Args:
        past: values before the forecast; NaN where none is known.
        truth: values at its steps.
        lines: name to the values that were forecast, such as the mean and quantiles.
    """
    chart = pygal.XY(**_SHAPE, show_dots=False, x_title="step", y_title="", max_scale=6)
    known = [(step - len(past) + 1, value) for step, value in enumerate((*past, *truth))]
    chart.add("actual", [(step, float(value)) for step, value in known if math.isfinite(value)])
    for name, values in lines.items():
        chart.add(
            name, [(step + 1, float(value)) for step, value in enumerate(values) if math.isfinite(value)]
        )
    _make_room_for_legend(chart)
    return _svg(chart)


def _make_room_for_legend(chart: Any) -> None:
    """Height for every row of a legend of several; pygal reckons with the first alone."""
    series = len(chart.raw_series)
    columns = min(series, LEGEND_COLUMNS)
    more = LEGEND_ROW * (math.ceil(series / columns) - 1)
    chart.config.legend_at_bottom_columns = columns
    chart.config.margin_bottom = _SHAPE["margin"] + more
    chart.config.height = _SHAPE["height"] + more


def _points(x: NDArray[Any], y: NDArray[Any]) -> list[tuple[float, float]]:
    return [(float(f"{a:.4g}"), float(f"{b:.4g}")) for a, b in zip(x, y, strict=True)]


def _sample(rows: int) -> NDArray[np.intp]:
    if rows <= MOST_POINTS:
        return np.arange(rows)
    return np.sort(np.random.default_rng(0).choice(rows, MOST_POINTS, replace=False))


def _thinned(length: int) -> Sequence[int]:
    return [int(i) for i in np.unique(np.linspace(0, length - 1, min(length, MOST_CURVE_POINTS)).astype(int))]


def _svg(chart: Any) -> str:
    chart.config.value_formatter = chart.config.x_value_formatter = lambda value: f"{value:.4g}"
    svg = chart.render(is_unicode=True)
    # The page has no script, and the plot is described by its heading.
    svg = re.sub(r"<script.*?</script>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<desc.*?</desc>", "", svg, flags=re.DOTALL)
    return re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
