"""Folds, splits, and a model's predictions for rows that it has not seen."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

from opt_ml_ensemble.blending import Folds
from opt_ml_ensemble.metrics import measure, print_metrics
from opt_ml_ensemble.models import MODELS, Curve, Model, Problem
from opt_ml_ensemble.schema import Data, Task


@dataclass
class CrossValidation:
    """What k fits of one model gave.

    Attributes:
        predicted: out-of-fold predictions for every row, in the rows' order.
        scores: of each fold's held-out rows, by metric.
        rounds: of each fold's fit; empty for a model without rounds.
        curve: of the first fold's fit.
    """

    predicted: NDArray[np.float64]
    scores: list[dict[str, float]] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)
    curve: Curve | None = None


def split(data: Data, task: Task, fraction: float, seed: int) -> tuple[Data, Data]:
    """Train rows and held-out rows; classes keep their shares, and a class of one row is trained on."""
    rows = np.arange(len(data))
    classes = None
    if task != "regression":
        rows = rows[np.bincount(data.label)[data.label] >= 2]
        classes = data.label[rows]
    fewest = 1 if classes is None else len(np.unique(classes))
    held_out = min(max(fewest, round(len(data) * fraction)), len(rows) - fewest)
    _, validation = train_test_split(rows, test_size=held_out, random_state=seed, stratify=classes)
    train = np.setdiff1d(np.arange(len(data)), validation)
    return data.take(train), data.take(np.sort(validation))


def make_folds(data: Data, task: Task, k_fold: int, seed: int) -> Folds:
    """Row numbers to learn from and to hold out, shuffled, with the shares of the classes kept.

    A class of fewer rows than folds takes the number of folds down to its size, which is said in the
    log; a class of one row is passed over, since no number of folds could do it justice.
    """
    if task == "regression":
        return list(KFold(min(k_fold, len(data)), shuffle=True, random_state=seed).split(data.matrix))
    counts = np.bincount(data.label)
    smallest = int(counts[counts >= 2].min())
    folds = min(k_fold, smallest)
    if folds < k_fold:
        print(f"k_fold is {folds} instead of {k_fold}: the smallest class has {smallest} rows.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class of one row: see above
        return list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(data.matrix, data.label))


def cross_validate(
    name: str, problem: Problem, parameters: Mapping[str, Any], data: Data, folds: Folds, metric: str
) -> CrossValidation:
    """Fit one model once a fold and predict the rows held out, printing one line a fold (TRAIN-114).

    Args:
        name: of the model.
        problem: of the job.
        parameters: of the model.
        data: the train rows.
        folds: from `make_folds`.
        metric: the one to print.
    """
    shape = (len(data),) if problem.task == "regression" else (len(data), problem.n_classes)
    result = CrossValidation(np.empty(shape))
    for number, (learned, held_out) in enumerate(folds):
        watched = data.take(held_out)
        model, seconds = fit(name, problem, parameters, data.take(learned), watched)
        result.predicted[held_out] = model.predict(watched.matrix, problem.threads)
        scores = measure(problem.task, watched, result.predicted[held_out])
        result.scores.append(scores)
        shown = {metric: scores[metric]} if metric in scores else scores
        print_metrics(f"validation-{name}-fold-{number}", shown, describe_fit(model, seconds))
        if model.rounds is not None:
            result.rounds.append(model.rounds)
        result.curve = result.curve or model.curve
    return result


def fit(
    name: str,
    problem: Problem,
    parameters: Mapping[str, Any],
    train: Data,
    watched: Data | None,
    rounds: int | None = None,
) -> tuple[Model, float]:
    """A fitted model and the seconds it took; with exactly `rounds` boosting rounds where given."""
    started = time.monotonic()
    kind = MODELS[name]
    model = kind(problem)
    model.fit(kind.with_rounds(parameters, rounds), train, watched)
    return model, time.monotonic() - started


def describe_fit(model: Model, seconds: float) -> str:
    """`212 rounds, 0.4 s`."""
    return (f"{model.rounds} rounds, " if model.rounds is not None else "") + f"{seconds:.1f} s"
