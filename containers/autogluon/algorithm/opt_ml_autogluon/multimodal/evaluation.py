"""What a network is worth: metrics, and predictions for rows that it was not fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from autogluon.core.metrics import METRICS
from opt_ml.training.metric_lines import print_metrics

from opt_ml_autogluon.multimodal.channels import Data
from opt_ml_autogluon.multimodal.fitting import Fitted
from opt_ml_autogluon.tabular.evaluation import HeldOut
from opt_ml_autogluon.tabular.label import CLASSIFICATIONS

_METRICS = {
    "binary": ("accuracy", "roc_auc", "f1", "log_loss"),
    "multiclass": ("accuracy", "f1_macro", "log_loss"),
    "regression": ("root_mean_squared_error", "mean_absolute_error", "r2"),
}


@dataclass(frozen=True)
class Evaluation:
    """All that the report shows.

    Attributes:
        metrics: the content of metrics.json.
        held_out: of the test channel, else of the validation rows.
    """

    metrics: dict[str, Any]
    held_out: HeldOut


def evaluate(fitted: Fitted, data: Data) -> Evaluation:
    """Measure the predictor, print its metrics."""
    predictor = fitted.predictor
    metrics: dict[str, Any] = {
        "problem_type": data.problem_type,
        "metric": predictor.eval_metric,
        "seconds": round(fitted.seconds, 1),
        "epochs": fitted.epochs,
        "parameters": int(predictor.total_parameters),
    }
    held_out = None
    for part in ("validation", "test"):
        if part not in data.frames:
            continue
        source = "split" if part == "validation" and data.held_out else part
        held_out = _predicted(fitted, data, data.frames[part], source)
        metrics[part] = _measured(held_out, data.problem_type)
        metrics[f"{part}_rows"] = {"source": source, "rows": len(held_out.truth)}
        print_metrics(part, metrics[part])
    if not fitted.is_whole:
        metrics["stopped"] = True
    if held_out is None:
        raise AssertionError("there always are validation rows")
    return Evaluation(metrics, held_out)


def _predicted(fitted: Fitted, data: Data, frame: pd.DataFrame, source: str) -> HeldOut:
    features, truth = frame.drop(columns=data.label), frame[data.label]
    if data.problem_type not in CLASSIFICATIONS:
        return HeldOut(source, truth, fitted.predictor.predict(features, as_pandas=True), None)
    probabilities = fitted.predictor.predict_proba(features, as_pandas=True)
    chosen = pd.Series(probabilities.columns.to_numpy()[probabilities.to_numpy().argmax(axis=1)])
    return HeldOut(source, truth, chosen, probabilities)


def _measured(rows: HeldOut, problem_type: str) -> dict[str, float]:
    """The metrics that fit the problem, with the signs that they have elsewhere."""
    truth: Any = rows.truth.to_numpy()
    chosen: Any = None if rows.predicted is None else rows.predicted.to_numpy()
    scores: Any = chosen
    if rows.probabilities is not None:
        codes = {name: code for code, name in enumerate(rows.probabilities.columns)}
        truth = np.array([codes[value] for value in truth])
        chosen = np.array([codes[value] for value in chosen])
        scores = rows.probabilities.to_numpy(dtype=np.float64)
        scores = scores / scores.sum(axis=1, keepdims=True)
        if problem_type == "binary":
            scores = scores[:, 1]
    found = {}
    for name in _METRICS[problem_type]:
        metric = METRICS[problem_type][name]
        try:
            score = metric(truth, chosen if metric.needs_pred else scores)
        except ValueError:
            continue  # of few rows that are all of one class, some have none
        value = float(metric.convert_score_to_original(score))
        if np.isfinite(value):
            found[name] = value
    return found
