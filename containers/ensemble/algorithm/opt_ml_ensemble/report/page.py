"""report.html: one file, no network, no script; light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from opt_ml.report import charts
from opt_ml.report.page import bar, confusion, figures, row, short, sources, table, tiles, write_page
from opt_ml.tables.files import Rows

from opt_ml_ensemble.bundle import versions
from opt_ml_ensemble.metrics import SMALLER_IS_BETTER, better
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
    write_page(
        path,
        title,
        _summary(outcome, job_name),
        (
            _facts(outcome, rows),
            _leaderboard(outcome),
            _predictions(outcome),
            _importance(outcome),
            _curves(outcome),
            sources({name: read.sources for name, read in rows.items()}, versions()),
        ),
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
    facts = [(f"validation {metric} of the blend", short(validation["blend"].get(metric)))]
    ranking = outcome.metrics["ranking"]
    if ranking:
        best = ranking[0]
        facts.append((f"of the best single model, {best}", short(validation["models"][best][metric])))
    if "test" in outcome.metrics:
        facts.append((f"test {metric} of the blend", short(outcome.metrics["test"]["blend"].get(metric))))
    facts.append(("train rows", f"{len(rows['train'].frame):,}"))
    facts.append(("columns in use", str(len(outcome.bundle.schema.used))))
    return tiles(facts)


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
            short(scores[name].get(metric)),
            ("strip", strip),
            *(short(scores[name].get(c)) for c in columns[1:]),
        ]
        for part in others:
            found = metrics[part]["blend"] if name == "blend" else metrics[part]["models"][name]
            cells.append(short(found.get(metric)))
        cells.append(f"{weights[name]:.2f}" if name in weights else "")
        lines.append(row(name, cells, "blend" if name == "blend" else ""))
    direction = "smaller" if metric in SMALLER_IS_BETTER else "larger"
    return (
        f'<h2>Leaderboard</h2><p class="muted">By validation {metric}, {direction} is better.'
        f"{' A dot is one fold, the bar all validation rows.' if folds else ''}</p>"
        f"{table(head, lines)}"
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
        plots = [
            ("Predicted against true", charts.predicted_against_true(data.label, blended)),
            ("Residuals", charts.residuals(data.label, blended)),
        ]
    else:
        heading = (
            f"ROC of {schema.classes[1]!r}" if schema.task == "binary" else "ROC, each class against the rest"
        )
        plots = [(heading, charts.roc(schema.classes, data.label, blended, data.weight))]
        if len(schema.classes) <= MOST_CLASSES:
            plots.append(
                ("Confusion matrix, in rows", confusion(schema.classes, data.label, blended.argmax(axis=1)))
            )
    return f"<h2>Predictions of the blend on held-out rows</h2>{figures(plots)}"


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
    lines = [
        row(
            names[position],
            [
                f"{mean[position]:.1%}",
                bar(mean[position] / highest),
                *(f"{part[position]:.1%}" for part in parts),
            ],
        )
        for position in order
    ]
    left = f" The first {MOST_FEATURES} of {len(names)} columns." if len(names) > MOST_FEATURES else ""
    return (
        '<h2>Feature importance</h2><p class="muted">Share of each column in what the models make of a row, '
        f"as each library measures it, and their mean by the weights of the blend.{left}</p>"
        f"{table(['', 'mean', '', *outcome.importance], lines)}"
    )


def _curves(outcome: Outcome) -> str:
    if not outcome.curves:
        return ""
    plots = [
        (name, charts.learning_curve(curve.metric, curve.validation, curve.train))
        for name, curve in outcome.curves.items()
    ]
    return f"<h2>Learning curves</h2>{figures(plots)}"
