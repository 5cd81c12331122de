"""report.html: one file, no network, no script; light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opt_ml_ensemble.bundle import versions
from opt_ml_ensemble.files import Rows
from opt_ml_ensemble.metrics import SMALLER_IS_BETTER, better
from opt_ml_ensemble.report import charts
from opt_ml_ensemble.trainer import Outcome

MOST_FEATURES = 15
MOST_CLASSES = 12
_SOURCES = {
    "channel": "the validation channel",
    "split": "rows held out of the train channel",
    "out-of-fold": "out-of-fold predictions for the train channel",
    "fold": "the rows of the train channel that one fold held out",
}
_BLENDS = {"mean": "their mean", "weighted": "a weighted mean", "vote": "vote", "stacking": "stacking"}


def write_report(path: Path, outcome: Outcome, rows: Mapping[str, Rows], job_name: str) -> None:
    """Write the page.

    Args:
        path: the file.
        outcome: the finished training.
        rows: the channels as they were read.
        job_name: of the training job; may be empty.
    """
    schema = outcome.bundle.schema
    title = f"Ensemble for {schema.label} ({schema.task})"
    css = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    body = "\n".join(
        (
            f"<h1>{escape(title)}</h1>",
            f'<p class="muted">{escape(_summary(outcome, job_name))}</p>',
            _facts(outcome, rows),
            _leaderboard(outcome),
            _predictions(outcome),
            _importance(outcome),
            _curves(outcome),
            _files(rows),
        )
    )
    path.write_text(
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{css}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n",
        encoding="utf-8",
    )


def _summary(outcome: Outcome, job_name: str) -> str:
    held_out = outcome.held_out
    job = f"Job {job_name}. " if job_name else ""
    blend = _BLENDS[outcome.bundle.blend.kind]
    if "stopped" in outcome.metrics:
        job += f"Stopped early, in {outcome.metrics['stopped']['in']}. "
    return (
        f"{job}{len(outcome.bundle.models)} models, blended by {blend}; measured on "
        f"{len(held_out.data):,} rows: {_SOURCES[held_out.source]}."
    )


def _facts(outcome: Outcome, rows: Mapping[str, Rows]) -> str:
    metric = outcome.metrics["metric"]
    validation = outcome.metrics["validation"]
    facts = [(f"validation {metric} of the blend", _short(validation["blend"].get(metric)))]
    ranking = outcome.metrics["ranking"]
    if ranking:
        best = ranking[0]
        facts.append((f"of the best single model, {best}", _short(validation["models"][best][metric])))
    if "test" in outcome.metrics:
        facts.append((f"test {metric} of the blend", _short(outcome.metrics["test"]["blend"].get(metric))))
    facts.append(("train rows", f"{len(rows['train'].frame):,}"))
    facts.append(("columns in use", str(len(outcome.bundle.schema.used))))
    cells = "".join(f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for name, value in facts)
    return f'<div class="facts">{cells}</div>'


def _leaderboard(outcome: Outcome) -> str:
    metrics = outcome.metrics
    metric, validation = metrics["metric"], metrics["validation"]
    scores: dict[str, Mapping[str, float]] = {**validation["models"], "blend": validation["blend"]}
    ranked = better(
        metric, {name: found[metric] for name, found in scores.items() if metric in found}
    ) or list(scores)
    columns = [metric, *(name for name in validation["blend"] if name != metric)]
    others = [part for part in ("test", "train") if part in metrics]
    folds = {
        name: [fold[metric] for fold in found if metric in fold] for name, found in metrics["folds"].items()
    }
    weights = metrics["blend"]["weights"]
    head = [
        "",
        f"validation {metric}",
        "by fold" if folds else "",
        *columns[1:],
        *(f"{part} {metric}" for part in others),
        "weight",
    ]
    every = [found[metric] for found in scores.values() if metric in found] + [
        v for f in folds.values() for v in f
    ]
    lines = []
    for name in ranked:
        strip = _strip(scores[name].get(metric), folds.get(name, []), every)
        cells = [
            _short(scores[name].get(metric)),
            ("strip", strip),
            *(_short(scores[name].get(c)) for c in columns[1:]),
        ]
        for part in others:
            found = metrics[part]["blend"] if name == "blend" else metrics[part]["models"][name]
            cells.append(_short(found.get(metric)))
        cells.append(f"{weights[name]:.2f}" if name in weights else "")
        lines.append(_row(name, cells, "blend" if name == "blend" else ""))
    direction = "smaller" if metric in SMALLER_IS_BETTER else "larger"
    return (
        f'<h2>Leaderboard</h2><p class="muted">By validation {metric}, {direction} is better.'
        f"{' A dot is one fold, the bar all validation rows.' if folds else ''}</p>"
        f"{_table(head, lines)}"
    )


def _strip(score: float | None, folds: Sequence[float], every: Sequence[float]) -> str:
    """Scores on one scale for all rows of the table: from the smallest to the largest there is."""
    low, high = min(every, default=0.0), max(every, default=1.0)

    def mark(kind: str, value: float) -> str:
        return f'<i class="{kind}" style="left:{100 * (value - low) / (high - low or 1.0):.1f}%"></i>'

    marks = [mark("dot", value) for value in folds] + ([] if score is None else [mark("mark", score)])
    return f"<div>{''.join(marks)}</div>"


def _predictions(outcome: Outcome) -> str:
    schema, data, blended = outcome.bundle.schema, outcome.held_out.data, outcome.held_out.blended
    if schema.task == "regression":
        figures = [
            ("Predicted against true", charts.predicted_against_true(data, blended)),
            ("Residuals", charts.residuals(data, blended)),
        ]
    else:
        heading = (
            f"ROC of {schema.classes[1]!r}" if schema.task == "binary" else "ROC, each class against the rest"
        )
        figures = [(heading, charts.roc(schema, data, blended))]
        if len(schema.classes) <= MOST_CLASSES:
            figures.append(("Confusion matrix, in rows", _confusion(schema.classes, data.label, blended)))
    return f"<h2>Predictions of the blend on held-out rows</h2>{_figures(figures)}"


def _confusion(classes: Sequence[object], truth: NDArray[np.int64], blended: NDArray[np.float64]) -> str:
    size = len(classes)
    counts = np.zeros((size, size), dtype=int)
    np.add.at(counts, (truth, blended.argmax(axis=1)), 1)
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


def _importance(outcome: Outcome) -> str:
    if not outcome.importance:
        return ""
    names = [feature.name for feature in outcome.bundle.schema.used]
    weights = outcome.bundle.blend.weights
    parts = np.stack(list(outcome.importance.values()))
    weight = np.array([weights.get(name, 0.0) for name in outcome.importance])
    mean = np.average(parts, axis=0, weights=weight if weight.sum() > 0 else None)
    order = np.argsort(-mean)[:MOST_FEATURES]
    highest = float(mean.max()) or 1.0
    lines = []
    for position in order:
        bar = f'<i style="width:{100 * mean[position] / highest:.1f}%"></i>'
        lines.append(
            _row(
                names[position],
                [f"{mean[position]:.1%}", ("bar", bar), *(f"{part[position]:.1%}" for part in parts)],
            )
        )
    left = f" The first {MOST_FEATURES} of {len(names)} columns." if len(names) > MOST_FEATURES else ""
    return (
        '<h2>Feature importance</h2><p class="muted">Share of each column in what the models make of a row, '
        f"as each library measures it, and their mean by the weights of the blend.{left}</p>"
        f"{_table(['', 'mean', '', *outcome.importance], lines)}"
    )


def _curves(outcome: Outcome) -> str:
    if not outcome.curves:
        return ""
    figures = [(name, charts.learning_curve(curve)) for name, curve in outcome.curves.items()]
    return f"<h2>Learning curves</h2>{_figures(figures)}"


def _files(rows: Mapping[str, Rows]) -> str:
    lines = [
        f"<tr><td>{escape(name)}</td><td>{escape(source.path.name)}</td><td>{source.rows:,}</td>"
        f"<td><code>{source.sha256[:12]}</code></td></tr>"
        for name, read in rows.items()
        for source in read.sources
    ]
    libraries = ", ".join(f"{name} {number}" for name, number in versions().items())
    return (
        '<h2>Trained from</h2><div class="scroll files"><table><thead><tr><th>channel</th><th>file</th>'
        f"<th>rows</th><th>sha256</th></tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
        f'<p class="muted">{escape(libraries)}</p>'
    )


def _figures(figures: Iterable[tuple[str, str]]) -> str:
    return (
        '<div class="plots">'
        + "".join(f"<figure><h3>{escape(h)}</h3>{svg}</figure>" for h, svg in figures)
        + "</div>"
    )


def _table(head: Sequence[str], lines: Sequence[str]) -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = f"<thead><tr>{cells}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<div class="scroll"><table>{body}</table></div>'


def _row(name: str, cells: Sequence[Any], kind: str = "") -> str:
    written = "".join(
        f'<td class="{cell[0]}">{cell[1]}</td>'
        if isinstance(cell, tuple)
        else f"<td>{escape(str(cell))}</td>"
        for cell in cells
    )
    return f'<tr class="{kind}"><th>{escape(name)}</th>{written}</tr>'


def _short(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.4g}".rstrip(".")
