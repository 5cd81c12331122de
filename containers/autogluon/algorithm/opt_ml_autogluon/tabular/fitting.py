"""AutoGluon's fit as a job needs it: stopped at any moment, gone on with, and failing with a cause."""

from __future__ import annotations

import sys
import time
import traceback
from pathlib import Path
from typing import Any

from autogluon.core.utils.exceptions import TimeLimitExceeded
from autogluon.tabular import TabularPredictor
from autogluon.tabular.configs.presets_configs import tabular_presets_dict
from opt_ml.errors import UserError
from opt_ml.training import stopping

from opt_ml_autogluon import fits
from opt_ml_autogluon.tabular.channels import Tables
from opt_ml_autogluon.tabular.progress import Progress
from opt_ml_autogluon.tabular.settings import Settings

LEAST_SECONDS = 10.0  # for the ensemble of a job that goes on when its time is nearly up
ENSEMBLE_SECONDS = 30.0  # of the 120 that a stopped job has


Fitted = fits.Fitted[TabularPredictor]


def fit(tables: Tables, settings: Settings, directory: Path, progress: Progress) -> Fitted:
    """Fit AutoGluon's models in `directory`, an empty one.

    To be called within `stopping.deferred()`.

    Raises:
        UserError: AutoGluon refuses the arguments, or could fit no model.
        Stopped: the job was stopped before there was a model.
    """
    started = time.monotonic()
    predictor = _predictor(tables, settings, directory)
    is_whole = True
    try:
        with stopping.interruptible():
            _fit(predictor, tables, settings, progress)
            if settings["distill"]:
                _distill(predictor, settings)
    except stopping.Stopped:
        predictor = _rescued(directory)
    if stopping.requested():  # also where a library took the exception for something else
        is_whole = False
        _add_ensemble(predictor)
    return Fitted(predictor, is_whole, progress.earlier_seconds + time.monotonic() - started)


def has_folds(settings: Settings) -> bool:
    """True where the fit is one of bags, whose folds several hosts can share."""
    given: dict[str, Any] = {}
    for name in settings.fit_arguments["presets"]:
        given |= tabular_presets_dict[name]
    given |= settings.fit_arguments
    return bool(given.get("num_bag_folds", given.get("auto_stack")))


def _predictor(tables: Tables, settings: Settings, directory: Path) -> TabularPredictor:
    columns = tables.columns
    more: dict[str, Any] = {}
    if columns.weight:
        more = {"sample_weight": columns.weight, "weight_evaluation": True}
    if tables.problem_type == "quantile" and settings["quantile_levels"]:
        levels = settings["quantile_levels"]
        more["quantile_levels"] = sorted(levels if isinstance(levels, list) else [levels])
    with fits.refusals():
        return TabularPredictor(
            label=columns.label,
            problem_type=tables.problem_type,
            eval_metric=None if settings["eval_metric"] == "auto" else settings["eval_metric"],
            path=str(directory),
            verbosity=settings["verbosity"],
            **more,
        )


def _fit(predictor: TabularPredictor, tables: Tables, settings: Settings, progress: Progress) -> None:
    arguments = settings.fit_arguments
    if "validation" in tables.frames:
        arguments["tuning_data"] = tables.frames["validation"]
        arguments.setdefault("use_bag_holdout", True)
    if arguments.get("time_limit") is not None and progress.earlier_seconds:
        left = arguments["time_limit"] - progress.earlier_seconds
        arguments["time_limit"] = max(left, LEAST_SECONDS)
    # The fit that tries stacking out is one of fewer rows: its models must not become checkpoints of the job.
    arguments["ds_args"] = {"enable_callbacks": False, "memory_safe_fits": False}
    callbacks = [*_callbacks_of(arguments["presets"]), progress]
    try:
        predictor.fit(tables.frames["train"], callbacks=callbacks, **arguments)
    except (ValueError, AssertionError, RuntimeError, TypeError) as error:
        if stopping.requested():
            raise stopping.Stopped from None
        if "Not enough time left" in str(error):  # what AutoGluon says before the first model
            raise fits.no_model(settings["time_limit"]) from None
        if progress.fits_begun:
            raise _no_model(predictor, settings, error) from error
        if "already fit" in str(error):  # what AutoGluon says after a failure in the trial of stacking
            raise UserError(
                "AutoGluon could fit no model in the quarter of time_limit in which it tries stacking out. "
                "Give it more time, or set dynamic_stacking to false."
            ) from None
        raise fits.refusal(error) from None


def _callbacks_of(presets: list[str]) -> list[Any]:
    """Those that a preset brings, which an argument of our own would replace; the last preset wins."""
    found = [
        tabular_presets_dict[name]["callbacks"]
        for name in presets
        if "callbacks" in tabular_presets_dict[name]
    ]
    return list(found[-1]) if found else []


def _distill(predictor: TabularPredictor, settings: Settings) -> None:
    """Fit students of the ensemble, and make the best of them the model that is served."""
    ensemble = predictor.model_best
    students = predictor.distill(time_limit=settings["time_limit"], verbosity=settings["verbosity"])
    scores = predictor.leaderboard(display=False).set_index("model")["score_val"]
    if students:
        best = max(students, key=lambda name: scores.get(name, float("-inf")))
        predictor.set_model_best(best, save_trainer=True)
        print(f"Distilled: {best} is served in place of {ensemble}.", flush=True)


def _rescued(directory: Path) -> TabularPredictor:
    """What a fit that was interrupted left on the disk.

    Raises:
        Stopped: there is no model yet.
    """
    try:
        predictor = TabularPredictor.load(str(directory))
        models = predictor.model_names(can_infer=True)
    except Exception as error:
        print(
            f"While stopping: {type(error).__name__}: {fits.first_line(error)}", file=sys.stderr, flush=True
        )
        raise stopping.Stopped from None
    if not models:
        raise stopping.Stopped
    return predictor


def _add_ensemble(predictor: TabularPredictor) -> None:
    """An ensemble of the models that are whole, where AutoGluon did not come to make it."""
    models = predictor.model_names(can_infer=True)
    print(f"Stopped. The model is of: {', '.join(models)}.", flush=True)
    if len(models) == 1 or any(name.startswith("WeightedEnsemble") for name in models):
        return
    try:
        predictor.fit_weighted_ensemble(time_limit=ENSEMBLE_SECONDS)
    except Exception:
        traceback.print_exc()  # the best single model will do


def _no_model(predictor: TabularPredictor, settings: Settings, error: Exception) -> Exception:
    """What to say of a fit that failed on its way: the models' own errors, or the bug as it is."""
    if not isinstance(error, RuntimeError) or "No models were trained" not in str(error):
        return error
    try:
        failures = list(predictor.model_failures().itertuples())
    except Exception:
        failures = []
    causes = [
        f"{row.model}: {row.exc_type}: {fits.first_line(row.exc_str)}"
        for row in failures
        if row.exc_type != TimeLimitExceeded.__name__
    ]
    is_short = len(causes) < len(failures) or not failures
    return fits.no_model(settings["time_limit"] if is_short else None, causes)
