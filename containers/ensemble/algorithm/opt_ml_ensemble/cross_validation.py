"""Folds, splits, and a model's predictions for rows that it has not seen."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opt_ml.training import stopping
from opt_ml.training.metric_lines import print_metrics
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

from opt_ml_ensemble.blending import Folds
from opt_ml_ensemble.metrics import measure
from opt_ml_ensemble.models import MODELS, Curve, Model, Problem
from opt_ml_ensemble.progress import (
    FitProgress,
    Progress,
    from_npy,
    model_state,
    restored_curve,
    restored_model,
    to_npy,
)
from opt_ml_ensemble.schema import Data, Task


@dataclass(frozen=True)
class Spare:
    """A model of a part of the rows: what a job can leave that is stopped before any model is whole.

    Attributes:
        model: the model of a fold, or one that is cut short.
        held_out: rows that it has not learned from.
    """

    model: Model
    held_out: Data


class Interrupted(stopping.Stopped):
    """The job was told to stop while a model was being fitted.

    Attributes:
        where: which fit, and how far it came.
        spare: what can be served for the model that is not whole, or None.
    """

    def __init__(self, where: str, spare: Spare | None) -> None:
        super().__init__(where)
        self.where = where
        self.spare = spare


@dataclass
class CrossValidation:
    """What k fits of one model gave.

    Attributes:
        predicted: out-of-fold predictions for every row, in the rows' order.
        scores: of each fold's held-out rows, by metric.
        rounds: of each fold's fit; empty for a model without rounds.
        curve: of the first fold's fit.
        spare: of the last fold that was fitted here.
    """

    predicted: NDArray[np.float64]
    scores: list[dict[str, float]] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)
    curve: Curve | None = None
    spare: Spare | None = None


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
    name: str,
    problem: Problem,
    parameters: Mapping[str, Any],
    data: Data,
    folds: Folds,
    metric: str,
    progress: Progress,
    earlier: Model | None = None,
) -> CrossValidation:
    """Fit one model once a fold and predict the rows held out, printing one line a fold (TRAIN-114).

    Args:
        name: of the model.
        problem: of the job.
        parameters: of the model.
        data: the train rows.
        folds: from `make_folds`.
        metric: the one to print.
        progress: of the job; folds that it has finished before are taken from there.
        earlier: a model to go on from in every fold; it must not have seen these rows.

    Raises:
        Interrupted: the job was told to stop.
    """
    shape = (len(data),) if problem.task == "regression" else (len(data), problem.n_classes)
    result = CrossValidation(np.empty(shape))
    for number, (learned, held_out) in enumerate(folds):
        of_fold = progress.of(f"{name}-fold-{number}")
        watched = data.take(held_out)
        finished = of_fold.finished()
        if finished is None:
            model, note = fit(
                name, problem, parameters, data.take(learned), watched, of_fold, earlier, result.spare
            )
            predicted = model.predict(watched.matrix, problem.threads)
            facts = {"rounds": model.rounds, "curve": asdict(model.curve) if model.curve else None}
            of_fold.finish(facts, {"predicted.npy": to_npy(predicted)})
            rounds, curve = model.rounds, model.curve
            result.spare = Spare(model, watched)
        else:
            predicted = from_npy(finished.files["predicted.npy"])
            rounds, curve = finished.facts["rounds"], restored_curve(finished)
            note = describe_fit(rounds, "from its checkpoint")
        result.predicted[held_out] = predicted
        scores = measure(problem.task, watched, predicted)
        result.scores.append(scores)
        print_metrics(
            f"validation-{of_fold.fit}", {metric: scores[metric]} if metric in scores else scores, note
        )
        if rounds is not None:
            result.rounds.append(rounds)
        result.curve = result.curve or curve
    return result


def fit_on_all(
    name: str,
    problem: Problem,
    parameters: Mapping[str, Any],
    train: Data,
    watched: Data | None,
    progress: Progress,
    earlier: Model | None = None,
    spare: Spare | None = None,
) -> tuple[Model, str]:
    """The model that is served, from its checkpoint where it was finished before; and a note on how.

    Raises:
        Interrupted: the job was told to stop.
    """
    of_model = progress.of(name)
    finished = of_model.finished()
    if finished is not None:
        model = restored_model(name, problem, finished)
        return model, describe_fit(model.rounds, "from its checkpoint")
    model, note = fit(name, problem, parameters, train, watched, of_model, earlier, spare)
    of_model.finish(*model_state(model))
    return model, note


def fit(
    name: str,
    problem: Problem,
    parameters: Mapping[str, Any],
    train: Data,
    watched: Data | None,
    progress: FitProgress,
    earlier: Model | None = None,
    spare: Spare | None = None,
) -> tuple[Model, str]:
    """A fitted model, and how many rounds and seconds it took.

    Raises:
        Interrupted: the job was told to stop; with the model as far as it came, or with `spare`.
    """
    if progress.stops:
        raise Interrupted(progress.fit, spare)
    started = time.monotonic()
    model = MODELS[name](problem)
    try:
        model.fit(parameters, train, watched, progress, earlier)
    except stopping.Stopped:
        raise Interrupted(progress.fit, spare) from None
    if model.cut_short:
        if model.rounds and watched is not None and spare is None:
            spare = Spare(model, watched)
        raise Interrupted(f"{progress.fit}, round {model.rounds}", spare)
    return model, describe_fit(model.rounds, f"{time.monotonic() - started:.1f} s")


def describe_fit(rounds: int | None, how: str) -> str:
    """`212 rounds, 0.4 s`."""
    return (f"{rounds} rounds, " if rounds is not None else "") + how
