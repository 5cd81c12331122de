"""Fit, blend and measure: rows in, a bundle and its metrics out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opt_ml.errors import UserError
from opt_ml.training.metric_lines import print_metrics

from opt_ml_ensemble.blending import Blend, Folds, cross_fitted, fit_blend
from opt_ml_ensemble.bundle import Bundle
from opt_ml_ensemble.cross_validation import make_folds, split
from opt_ml_ensemble.fitting import Fitted, Start, fit_folds, fit_once
from opt_ml_ensemble.metrics import better, measure
from opt_ml_ensemble.models import Curve, Problem
from opt_ml_ensemble.progress import Progress
from opt_ml_ensemble.schema import Data, Schema, Task
from opt_ml_ensemble.settings import Settings

DEFAULT_FRACTION = 0.2
BLEND_FOLDS = 5


@dataclass(frozen=True)
class HeldOut:
    """Rows that the models were measured on.

    Attributes:
        source: `channel`, `split`, `out-of-fold`, or `fold` in a job that was stopped early.
        data: the rows.
        each: every model's predictions for them.
        blended: the blend's, found without these rows' own say.
    """

    source: str
    data: Data
    each: Mapping[str, NDArray[np.float64]]
    blended: NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """A finished training.

    Attributes:
        metrics: the content of metrics.json.
        held_out: the validation rows with their predictions, for the report.
        curves: learning curves by model.
        importance: by model, shares of the used columns.
    """

    bundle: Bundle
    metrics: dict[str, Any]
    held_out: HeldOut
    curves: Mapping[str, Curve]
    importance: Mapping[str, NDArray[np.float64]]


def train_ensemble(
    schema: Schema,
    settings: Settings,
    problem: Problem,
    metric: str,
    train: Data,
    validation: Data | None,
    test: Data | None,
    progress: Progress | None = None,
    start: Start | None = None,
) -> Outcome:
    """Train every model, blend them, print and return the metrics.

    With `k_fold` the blend is found on out-of-fold predictions and every model is then fitted once more
    on all train rows, with the rounds that the folds found: one model of each kind to serve, not k.
    Without it the validation rows stop the boosting and find the blend.

    A job that is told to stop makes an ensemble of what is there (see `fitting`), and says so in the
    metrics.

    Raises:
        Stopped: there is nothing yet that could be served.
    """
    _check_blend(settings, schema)
    if schema.classes:
        _check_classes(schema, train)
    source = "channel"
    fraction = _fraction(settings) if validation is None else 0.0
    if fraction:
        source = "split"
        train, validation = split(train, schema.task, fraction, settings["seed"])
        print(f"Validation: {len(validation)} of the train rows, held out.")
    progress, start = progress or Progress(), start or Start()
    if settings["k_fold"] >= 2:
        fitted = fit_folds(settings, problem, metric, train, progress, start)
    else:
        fitted = fit_once(settings, problem, train, validation, progress, start)
    if fitted.interrupted:
        print(f"Stopped in {fitted.interrupted}. The model is of: {', '.join(fitted.models)}.", flush=True)
    bundle, held_out = _blend(schema, settings, problem, fitted, train, validation, source)
    metrics = _measure(schema, metric, bundle, fitted, held_out, train, test, problem.threads)
    if fitted.interrupted:
        missing = [name for name in settings["models"] if name not in fitted.models]
        metrics["stopped"] = {"in": fitted.interrupted, "missing": missing, "partial": fitted.partial}
    importance = {name: model.importance() for name, model in fitted.models.items()}
    return Outcome(
        bundle,
        metrics,
        held_out,
        fitted.curves,
        {n: shares for n, shares in importance.items() if shares is not None},
    )


def _fraction(settings: Settings) -> float:
    asked = settings["validation_fraction"]
    if asked is None:
        return 0.0 if settings["k_fold"] >= 2 else DEFAULT_FRACTION
    if asked == 0 and settings["k_fold"] < 2:
        raise UserError(
            "Nothing to measure the models on: validation_fraction is 0, k_fold is off and there is no "
            "channel validation. Give one of the three."
        )
    return float(asked)


def _check_blend(settings: Settings, schema: Schema) -> None:
    if settings["blend"] == "vote" and schema.task == "regression":
        raise UserError("blend vote needs classes, but this is a regression. Use mean, weighted or stacking.")


def _check_classes(schema: Schema, train: Data) -> None:
    """Whatever is held out, two classes must be left to learn from."""
    counts = np.bincount(train.label, minlength=len(schema.classes))
    if (counts >= 2).sum() < 2:
        rare = schema.classes[int(np.argmin(counts))]
        few = "only one row" if counts.min() else "no row with a weight above 0"
        raise UserError(
            f"The class {rare!r} of the label {schema.label!r} has {few}. "
            "At least two classes need two rows or more: add rows."
        )


def _blend(
    schema: Schema,
    settings: Settings,
    problem: Problem,
    fitted: Fitted,
    train: Data,
    validation: Data | None,
    source: str,
) -> tuple[Bundle, HeldOut]:
    kind, task = settings["blend"], schema.task

    def bundle_of(blend: Blend) -> Bundle:
        return Bundle(schema, fitted.models, blend, _output(settings, schema))

    if fitted.held_out is not None:  # one model, of a fold
        blend = Blend("mean", task, dict.fromkeys(fitted.models, 1.0))
        rows, source = (fitted.held_out, "fold") if validation is None else (validation, source)
        each = bundle_of(blend).predict_each(rows.matrix, problem.threads)
        return bundle_of(blend), HeldOut(source, rows, each, blend.combine(each))
    if fitted.out_of_fold:
        blend = fit_blend(kind, train, fitted.out_of_fold, task)
        if validation is None:
            honest = cross_fitted(kind, train, fitted.out_of_fold, task, fitted.folds)
            return bundle_of(blend), HeldOut("out-of-fold", train, fitted.out_of_fold, honest)
        each = bundle_of(blend).predict_each(validation.matrix, problem.threads)
        return bundle_of(blend), HeldOut(source, validation, each, blend.combine(each))
    if validation is None:
        raise AssertionError("without folds there are validation rows: _fraction sees to it")
    each = {name: model.predict(validation.matrix, problem.threads) for name, model in fitted.models.items()}
    blend = fit_blend(kind, validation, each, task)
    folds = _blend_folds(validation, task, settings["seed"])
    honest = cross_fitted(kind, validation, each, task, folds) if folds else blend.combine(each)
    return bundle_of(blend), HeldOut(source, validation, each, honest)


def _blend_folds(validation: Data, task: Task, seed: int) -> Folds:
    """Folds to measure a learned blend on; none where the rows are too few to learn from a part of them."""
    if len(validation) < 2 * BLEND_FOLDS:
        return []
    if task != "regression":
        counts = np.bincount(validation.label)
        if (counts >= BLEND_FOLDS).sum() < 2:
            return []
        return make_folds(validation, task, min(BLEND_FOLDS, int(counts[counts >= 2].min())), seed)
    return make_folds(validation, task, BLEND_FOLDS, seed)


def _output(settings: Settings, schema: Schema) -> str:
    """What a request gets that does not ask: what the objective's name promises in XGBoost."""
    if schema.task == "regression":
        return "predictions"
    return {"binary:logistic": "probability", "multi:softprob": "probabilities"}.get(
        settings["objective"], "labels"
    )


def _measure(
    schema: Schema,
    metric: str,
    bundle: Bundle,
    fitted: Fitted,
    held_out: HeldOut,
    train: Data,
    test: Data | None,
    threads: int,
) -> dict[str, Any]:
    # A job that was told to stop has no time for its own train rows.
    parts = {} if fitted.interrupted else {"train": _scores(bundle, train, threads)}
    if test is not None:
        parts["test"] = _scores(bundle, test, threads)
    parts["validation"] = {
        "rows": len(held_out.data),
        "source": held_out.source,
        "blend": measure(schema.task, held_out.data, held_out.blended),
        "models": {name: measure(schema.task, held_out.data, found) for name, found in held_out.each.items()},
    }
    _print_scores(metric, parts)
    if bundle.blend.weights:
        weights = ", ".join(f"{name} {weight:.2f}" for name, weight in bundle.blend.weights.items())
        print(f"Blend ({bundle.blend.kind}): {weights}.")
    ranking = better(
        metric,
        {name: found[metric] for name, found in parts["validation"]["models"].items() if metric in found},
    )
    return {
        "task": schema.task,
        "metric": metric,
        "ranking": ranking,
        "blend": {"kind": bundle.blend.kind, "weights": dict(bundle.blend.weights)},
        **parts,
        "folds": fitted.scores,
    }


def _scores(bundle: Bundle, data: Data, threads: int) -> dict[str, Any]:
    each = bundle.predict_each(data.matrix, threads)
    task = bundle.schema.task
    return {
        "rows": len(data),
        "blend": measure(task, data, bundle.blend.combine(each)),
        "models": {name: measure(task, data, found) for name, found in each.items()},
    }


def _print_scores(metric: str, parts: Mapping[str, Mapping[str, Any]]) -> None:
    for part, found in parts.items():
        for name, scores in found["models"].items():
            print_metrics(f"{part}-{name}", scores)
    # The blend last, each metric on its own line. No other metric's name ends like one of these, so that
    # the regex `validation-rmse:([0-9.]+);` reads the blend alone, also without an anchor (TRAIN-110).
    for part, found in parts.items():
        for name, score in found["blend"].items():
            print_metrics(part, {name: score})
