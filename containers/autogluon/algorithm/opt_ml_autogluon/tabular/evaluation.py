"""What a predictor is worth: leaderboard, metrics, and predictions for rows that it was not fitted on."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from autogluon.tabular import TabularPredictor
from opt_ml.training import stopping
from opt_ml.training.metric_lines import print_metrics

from opt_ml_autogluon.tabular.channels import Tables
from opt_ml_autogluon.tabular.fitting import Fitted
from opt_ml_autogluon.tabular.metrics import as_known

IMPORTANCE_SECONDS = 120.0
IMPORTANCE_ROWS = 1000


@dataclass(frozen=True)
class HeldOut:
    """Rows that the best model was not fitted on.

    Attributes:
        source: `test`, `validation`, `split` or `out-of-fold`.
        truth: shape (rows,): the label.
        predicted: shape (rows,): values, or the chosen classes; None for quantiles.
        probabilities: shape (rows, classes), columns named by class; None for a regression.
    """

    source: str
    truth: pd.Series
    predicted: pd.Series | None
    probabilities: pd.DataFrame | None


@dataclass(frozen=True)
class Evaluation:
    """All that the report shows.

    Attributes:
        metrics: the content of metrics.json.
        leaderboard: AutoGluon's, the best first; scores with AutoGluon's sign (more is better).
        held_out: None where AutoGluon has kept no such rows.
        importance: of each column, by permutation, the greatest first; None where it was not measured.
    """

    metrics: dict[str, Any]
    leaderboard: pd.DataFrame
    held_out: HeldOut | None
    importance: pd.Series | None


def evaluate(fitted: Fitted, tables: Tables, wants_importance: bool) -> Evaluation:
    """Measure the predictor, print its metrics; to be called within `stopping.deferred()`."""
    predictor = fitted.predictor
    test = tables.frames.get("test")
    leaderboard = predictor.leaderboard(test, display=False)
    best = predictor.model_best
    metrics: dict[str, Any] = {
        "problem_type": predictor.problem_type,
        "metric": predictor.eval_metric.name,
        "model": best,
        "seconds": round(fitted.seconds, 1),
    }
    validation = _validation(predictor, tables)
    if validation is not None:
        metrics["validation"] = _measured(predictor, validation)
        metrics["validation_rows"] = {"source": validation.source, "rows": len(validation.truth)}
    held_out = validation
    if test is not None:
        held_out = _predicted(predictor, test.drop(columns=tables.columns.label), test, tables)
        metrics["test"] = _measured(predictor, held_out)
    metrics["models"] = _models(predictor, leaderboard)
    if not fitted.is_whole:
        metrics["stopped"] = True
    for part in ("validation", "test"):
        if part in metrics:
            print_metrics(part, metrics[part])
    importance = None
    if wants_importance and fitted.is_whole:
        importance = _importance(predictor, _least_known(tables, validation))
    if importance is not None:
        metrics["feature_importance"] = {name: float(value) for name, value in importance.items()}
    return Evaluation(metrics, leaderboard, held_out, importance)


def _validation(predictor: TabularPredictor, tables: Tables) -> HeldOut | None:
    """The rows that AutoGluon itself held out, or its out-of-fold predictions for the train rows."""
    best = predictor.model_best
    source = "out-of-fold"
    if predictor.has_val:
        source = "validation" if "validation" in tables.frames else "split"
    try:
        _, inner = predictor.load_data_internal("val" if predictor.has_val else "train", return_X=False)
        truth = predictor.transform_labels(inner, inverse=True)
        if not predictor.can_predict_proba:
            found = predictor.predict_multi(models=[best])[best]
            return HeldOut(source, truth, None if found.ndim > 1 else found, None)
        probabilities = predictor.predict_proba_multi(models=[best])[best]
    except Exception:
        # Of a student of distillation, for one, there are no predictions out of the folds.
        traceback.print_exc()
        return None
    known = probabilities.notna().all(axis=1)  # a stopped bag has not predicted every row
    chosen = predictor.predict_from_proba(probabilities[known])
    return HeldOut(source, truth[known], chosen, probabilities[known])


def _predicted(
    predictor: TabularPredictor, features: pd.DataFrame, frame: pd.DataFrame, tables: Tables
) -> HeldOut:
    truth = frame[tables.columns.label]
    if not predictor.can_predict_proba:
        found = predictor.predict(features)
        return HeldOut("test", truth, None if found.ndim > 1 else found, None)
    probabilities = predictor.predict_proba(features)
    return HeldOut("test", truth, predictor.predict_from_proba(probabilities), probabilities)


def _measured(predictor: TabularPredictor, rows: HeldOut) -> dict[str, float]:
    """The metrics that fit the problem, the deciding one first."""
    if rows.predicted is None and rows.probabilities is None:
        return {}
    predictions = rows.predicted if rows.probabilities is None else rows.probabilities
    scores = predictor.evaluate_predictions(rows.truth, predictions, auxiliary_metrics=True, display=False)
    return as_known(scores, predictor.problem_type)


def _models(predictor: TabularPredictor, leaderboard: pd.DataFrame) -> list[dict[str, Any]]:
    """One row for each model of the leaderboard, with the metric's own sign and seconds."""
    metric = predictor.eval_metric
    rows = []
    for record in leaderboard.to_dict(orient="records"):
        row: dict[str, Any] = {"model": record["model"]}
        for name, label in (("score_val", "validation"), ("score_test", "test")):
            if _is_number(record.get(name)):
                row[label] = float(metric.convert_score_to_original(record[name]))
        for name in ("pred_time_val", "pred_time_test", "fit_time", "stack_level"):
            if _is_number(record.get(name)):
                row[name] = float(record[name])
        rows.append(row)
    return rows


def _is_number(value: Any) -> bool:
    return value is not None and bool(np.isfinite(value))


def _least_known(tables: Tables, validation: HeldOut | None) -> pd.DataFrame:
    """The rows that the model knows the least of; those of a bag all have been seen by some of its models."""
    frames: Mapping[str, pd.DataFrame] = tables.frames
    if validation is not None and validation.source == "split":
        return frames.get("test", frames["train"].loc[validation.truth.index])
    return frames.get("test", frames.get("validation", frames["train"]))


def _importance(predictor: TabularPredictor, rows: pd.DataFrame) -> pd.Series | None:
    """Permutation importance."""
    try:
        with stopping.interruptible():
            found = predictor.feature_importance(
                rows,
                subsample_size=IMPORTANCE_ROWS,
                time_limit=IMPORTANCE_SECONDS,
                include_confidence_band=False,
                silent=True,
            )
    except stopping.Stopped:
        return None
    except Exception:
        traceback.print_exc()  # the model is as good without
        return None
    return found["importance"].sort_values(ascending=False)
