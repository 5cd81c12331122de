"""All models of a job, fitted; or as many as there are when the job is told to stop (TRAIN-95).

What a stopped job can serve, in this order:

- The models that are whole: their folds and the fit on all rows are done, so that the blend is found and
  measured as ever.
- With `k_fold` 0 also the model that was boosting, at its best round so far: the validation rows measure it
  as they measure the others.
- Where no model is whole: the model of the last fold, or the one that was boosting in a fold. It has learned
  from a part of the rows and is measured on the rows that were held out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opt_ml.training.stopping import Stopped

from opt_ml_ensemble.blending import Folds
from opt_ml_ensemble.cross_validation import (
    Interrupted,
    Spare,
    cross_validate,
    fit_on_all,
    make_folds,
)
from opt_ml_ensemble.models import MODELS, Curve, Model, Problem
from opt_ml_ensemble.progress import Progress
from opt_ml_ensemble.schema import Data
from opt_ml_ensemble.settings import Settings


def _anew(name: str) -> Model | None:
    return None


@dataclass(frozen=True)
class Start:
    """Where the models of a job begin.

    Attributes:
        earlier: by name, the model to go on from, or None for one that is trained from the beginning.
        folds_anew: the earlier models have seen the train rows, so that no fold may go on from them.
    """

    earlier: Callable[[str], Model | None] = _anew
    folds_anew: bool = False

    def of_fold(self, name: str, parameters: Mapping[str, Any]) -> tuple[Model | None, Mapping[str, Any]]:
        """The model that a fold goes on from, and its parameters: all rounds for one that cannot."""
        model = self.earlier(name)
        if model is None or not self.folds_anew:
            return model, parameters
        together = (model.rounds or 0) + model.most_rounds(parameters)
        return None, model.with_rounds(parameters, together)

    def rest(self, name: str, rounds: list[int]) -> int | None:
        """The rounds that the served model is to have beyond its beginning, from those of the folds."""
        if not rounds:
            return None
        model = self.earlier(name)
        return max(1, round(float(np.mean(rounds))) - (0 if model is None else model.rounds or 0))


@dataclass
class Fitted:
    """The models of a job.

    Attributes:
        models: by name; at least one.
        curves: learning curves by model.
        out_of_fold: predictions for the train rows by model; empty without folds.
        folds: of the cross-validation; empty without.
        scores: by model, of each fold's held-out rows.
        interrupted: where the job was told to stop, such as `xgboost-fold-3, round 70`; empty where every
            model is whole.
        partial: the models among them that are not whole: of one fold, or cut short.
        held_out: rows to measure on where the only model is one of a fold; else None.
    """

    models: dict[str, Model] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)
    out_of_fold: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    folds: Folds = ()
    scores: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    interrupted: str = ""
    partial: list[str] = field(default_factory=list)
    held_out: Data | None = None

    def use(self, spare: Spare) -> None:
        """Serve a model that is not whole."""
        self.models[spare.model.name] = spare.model
        self.partial.append(spare.model.name)
        if spare.model.curve:
            self.curves[spare.model.name] = spare.model.curve


def fit_folds(
    settings: Settings, problem: Problem, metric: str, train: Data, progress: Progress, start: Start
) -> Fitted:
    """Cross-validate every model, then fit it on all rows with the rounds that its folds found.

    Raises:
        Stopped: the job was told to stop before there was anything to serve.
    """
    fitted = Fitted(folds=make_folds(train, problem.task, settings["k_fold"], settings["seed"]))
    print(
        f"{len(fitted.folds)}-fold cross-validation of {', '.join(settings['models'])} on {len(train)} rows."
    )
    for name in settings["models"]:
        parameters = settings.of_model(name)
        try:
            earlier, of_fold = start.of_fold(name, parameters)
            result = cross_validate(name, problem, of_fold, train, fitted.folds, metric, progress, earlier)
            exact = MODELS[name].with_rounds(parameters, start.rest(name, result.rounds))
            earlier = start.earlier(name)
            model, note = fit_on_all(name, problem, exact, train, None, progress, earlier, result.spare)
        except Interrupted as interrupted:
            fitted.interrupted = interrupted.where
            if not fitted.models:
                if interrupted.spare is None:
                    raise Stopped from None
                fitted.use(interrupted.spare)
                fitted.held_out = interrupted.spare.held_out
            break
        print(f"{name}: fitted on all {len(train)} rows, {note}.", flush=True)
        fitted.models[name] = model
        fitted.out_of_fold[name] = result.predicted
        fitted.scores[name] = result.scores
        if result.curve:
            fitted.curves[name] = result.curve
    return fitted


def fit_once(
    settings: Settings,
    problem: Problem,
    train: Data,
    validation: Data | None,
    progress: Progress,
    start: Start,
) -> Fitted:
    """Fit every model on the train rows; the validation rows stop the boosting.

    Raises:
        Stopped: the job was told to stop before there was anything to serve.
    """
    fitted = Fitted()
    for name in settings["models"]:
        parameters = settings.of_model(name)
        try:
            model, note = fit_on_all(
                name, problem, parameters, train, validation, progress, start.earlier(name)
            )
        except Interrupted as interrupted:
            fitted.interrupted = interrupted.where
            if interrupted.spare is not None:
                fitted.use(interrupted.spare)
            if not fitted.models:
                raise Stopped from None
            break
        print(f"{name}: fitted on {len(train)} rows, {note}.", flush=True)
        fitted.models[name] = model
        if model.curve:
            fitted.curves[name] = model.curve
    return fitted
