"""AutoGluon's fit of series as a job needs it: stopped at any moment, gone on with, failing with a cause."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autogluon.core.utils.exceptions import TimeLimitExceeded
from autogluon.timeseries import TimeSeriesPredictor
from autogluon.timeseries.trainer import TimeSeriesTrainer
from opt_ml.training import stopping
from opt_ml.training.metric_lines import print_metrics

from opt_ml_autogluon import fits
from opt_ml_autogluon.progress import ModelCheckpoints
from opt_ml_autogluon.timeseries.channels import Data
from opt_ml_autogluon.timeseries.settings import Settings

Fitted = fits.Fitted[TimeSeriesPredictor]


def fit(
    data: Data, settings: Settings, models: Mapping[str, Any], directory: Path, progress: ModelCheckpoints
) -> Fitted:
    """Fit AutoGluon's models in `directory`, an empty one.

    To be called within `stopping.deferred()`.

    Args:
        data: the job's series.
        settings: the job's.
        models: name to hyperparameters, or a list of several.
        directory: for AutoGluon's files.
        progress: what is fitted already.

    Raises:
        UserError: AutoGluon refuses the arguments, or could fit no model.
        Stopped: the job was stopped before there was a model.
    """
    started = time.monotonic()
    arguments: dict[str, Any] = {"presets": settings.preset, "hyperparameters": dict(models)}
    if "validation" in data.series:
        arguments["tuning_data"] = data.series["validation"]
    if settings["num_val_windows"] is not None:
        arguments["num_val_windows"] = settings["num_val_windows"]
    if settings["time_limit"] is not None:
        arguments["time_limit"] = max(settings["time_limit"] - progress.earlier_seconds, 1.0)
    with fits.refusals():
        predictor = TimeSeriesPredictor(
            target=data.columns.target,
            known_covariates_names=list(data.columns.known),
            prediction_length=settings["prediction_length"],
            freq=data.freq,
            eval_metric=settings["eval_metric"],
            quantile_levels=list(settings["quantile_levels"]),
            path=str(directory),
            verbosity=settings["verbosity"],
            log_to_file=False,
        )
    with fits.refusals(), _noted() as failures, _each_model(progress, failures):
        predictor.fit(
            data.series["train"],
            refit_full=settings["refit_full"],
            random_seed=settings["random_seed"],
            **arguments,
        )
    if not predictor.model_names():
        stopping.check()
        is_short = failures.out_of_time or not failures.causes
        raise fits.no_model(settings["time_limit"] if is_short else None, failures.causes)
    return Fitted(predictor, not stopping.requested(), progress.earlier_seconds + time.monotonic() - started)


@contextmanager
def _each_model(progress: ModelCheckpoints, failures: _Failures) -> Iterator[None]:
    """Where AutoGluon fits a model: taken from a checkpoint, stopped by a signal, told in the log.

    Its trainer for series has no callbacks. What is left of the fit when a signal has come is the ensemble of
    the models that are whole, which takes moments.
    """
    original = TimeSeriesTrainer._train_and_save

    def train_and_save(trainer: Any, train_data: Any, model: Any, **arguments: Any) -> list[str]:
        if stopping.requested():
            return []
        earlier = progress.restored(model)
        if earlier is not None:
            trainer._add_model(model=earlier)
            return [str(earlier.name)]
        failures.model = str(model.name)
        try:
            with stopping.interruptible():
                names: list[str] = original(trainer, train_data, model=model, **arguments)
        except stopping.Stopped:
            return []
        finally:
            failures.model = None
        for name in names:
            score = trainer.get_model_attribute(name, "val_score")
            if score is not None:
                metric = trainer.eval_metric
                print_metrics(f"validation-{name}", {metric.name: score * metric.sign})
            progress.keep(trainer, name)
        return names

    TimeSeriesTrainer._train_and_save = train_and_save
    try:
        yield
    finally:
        TimeSeriesTrainer._train_and_save = original


class _Failures(logging.Handler):
    """What each model failed with, which AutoGluon's trainer tells the log alone, while it handles the error.

    Attributes:
        model: the one that is being fitted.
        causes: each with the name of its model.
        out_of_time: a model was given up because its share of the time was over.
    """

    def __init__(self) -> None:
        super().__init__()
        self.model: str | None = None
        self.causes: list[str] = []
        self.out_of_time = False

    def emit(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, TimeLimitExceeded):
            self.out_of_time = True
        elif error is not None and self.model is not None:
            told = " ".join(str(error).split())[: fits.LONGEST_CAUSE]
            self.causes.append(f"{self.model}: {type(error).__name__}: {told}")


@contextmanager
def _noted() -> Iterator[_Failures]:
    failures, logger = _Failures(), logging.getLogger("autogluon.timeseries.trainer")
    logger.addHandler(failures)
    try:
        yield failures
    finally:
        logger.removeHandler(failures)
