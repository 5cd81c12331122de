"""What the reports of all tasks have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opt_ml.report import charts
from opt_ml.report.page import confusion, figures, short

from opt_ml_autogluon.fits import Fitted
from opt_ml_autogluon.tabular.evaluation import HeldOut

MOST_CLASSES = 12
_SOURCES = {
    "test": "the test channel",
    "validation": "the validation channel",
    "split": "rows held out of the train channel",
    "out-of-fold": "out-of-fold predictions for the train channel",
}


def lead(job_name: str, fitted: Fitted[Any], outcome: str) -> str:
    """The sentence below a report's heading."""
    job = f"Job {job_name}. " if job_name else ""
    stopped = "" if fitted.is_whole else "Stopped early. "
    return f"{job}{stopped}{outcome} in {fitted.seconds:,.0f} s"


def scores(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The deciding metric on the validation and test rows, as tiles."""
    metric = metrics["metric"]
    return [
        (f"{part} {metric}", short(metrics[part][metric]))
        for part in ("validation", "test")
        if metric in metrics.get(part, {})
    ]


def predictions(rows: HeldOut | None) -> str:
    """Confusion and ROC of classes, or residuals of numbers; nothing for quantiles."""
    if rows is None or (rows.predicted is None and rows.probabilities is None):
        return ""
    plots = _of_classes(rows) if rows.probabilities is not None else _of_numbers(rows)
    heading = f"Predictions for {_SOURCES[rows.source]}"
    return f"<h2>{heading}</h2>{figures(plots)}"


def _of_numbers(rows: HeldOut) -> list[tuple[str, str]]:
    truth, predicted = rows.truth.to_numpy(dtype=float), rows.predicted.to_numpy(dtype=float)  # type: ignore[union-attr]
    return [
        ("Predicted against true", charts.predicted_against_true(truth, predicted)),
        ("Residuals", charts.residuals(truth, predicted)),
    ]


def _of_classes(rows: HeldOut) -> list[tuple[str, str]]:
    if rows.probabilities is None or rows.predicted is None:
        raise AssertionError("only of a classification")
    classes: Sequence[Any] = list(rows.probabilities.columns)
    codes = {name: code for code, name in enumerate(classes)}
    truth = rows.truth.map(codes).to_numpy()
    heading = f"ROC of {classes[1]!r}" if len(classes) == 2 else "ROC, each class against the rest"
    plots = [(heading, charts.roc(classes, truth, rows.probabilities.to_numpy()))]
    if len(classes) <= MOST_CLASSES:
        chosen = rows.predicted.map(codes).to_numpy()
        plots.append(("Confusion matrix, in rows", confusion(classes, truth, chosen)))
    return plots
