"""The built-in trainer: from a job's channels and hyperparameters to a model directory.

The order of things: read, fit, measure, clone what predictions need, report, save.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from opt_ml.environment import Channel, Environment
from opt_ml.training import stopping
from opt_ml.training.checkpoints import Checkpoints

from opt_ml_autogluon.tabular.settings import Settings


def train(environment: Environment) -> bool:
    """Fit and write the model; False where the job was stopped, and what could be served is written.

    Raises:
        UserError, Stopped: see `opt_ml_autogluon.train.train`.
    """
    settings = Settings.read(environment.hyperparameters, environment.raw_hyperparameters)
    print("Loading AutoGluon.", flush=True)
    from opt_ml_autogluon.job_channels import find_channels, fits_here
    from opt_ml_autogluon.tabular import fitting, hosts

    found = find_channels(environment)
    way_out = ""
    if len(environment.hosts) > 1:
        if not fitting.has_folds(settings):
            way_out = "All hosts fit the folds of bagging: set num_bag_folds, or presets to good_quality."
        elif not hosts.has_ray():
            way_out = "In an image with Ray, such as autogluon-full-cpu, all hosts fit the folds of bagging."
        elif not environment.is_leader:
            hosts.joining(environment, settings)
            return True
        else:
            return _train_with_all_hosts(environment, settings, found)
    if not fits_here(environment, way_out):
        return True
    if hosts.has_ray() and fitting.has_folds(settings):
        return _train_with_ray(environment, settings, found)
    return _train_here(environment, settings, found)


def _train_with_ray(environment: Environment, settings: Settings, found: Mapping[str, Channel]) -> bool:
    from opt_ml_autogluon.tabular import folds

    with folds.folds_by(folds.FoldsOnThisHost):
        return _train_here(environment, settings, found)


def _train_with_all_hosts(environment: Environment, settings: Settings, found: Mapping[str, Channel]) -> bool:
    from opt_ml_autogluon.tabular import folds, hosts

    with hosts.leading(environment, settings) as names, folds.folds_on_all_hosts() as fitted:
        is_whole = _train_here(environment, settings, found)
        shares = (f"{fitted[address]} on {host}" for address, host in names.items())
        print(f"Folds fitted: {', '.join(shares)}.", flush=True)
    return is_whole


def _train_here(environment: Environment, settings: Settings, found: Mapping[str, Channel]) -> bool:
    from opt_ml_autogluon.tabular import channels, evaluation, fitting, progress, writing

    tables = channels.read_tables(found, settings)
    identity = progress.identity(settings, tables.columns, tables.rows)
    state = progress.Progress(Checkpoints.open(environment, "autogluon", identity))
    with tempfile.TemporaryDirectory(prefix="autogluon-") as scratch, stopping.deferred():
        fitted = fitting.fit(tables, settings, Path(scratch) / "predictor", state)
        evaluated = evaluation.evaluate(fitted, tables, settings["feature_importance"])
        writing.write(environment, settings, tables, fitted, evaluated)
    return fitted.is_whole
