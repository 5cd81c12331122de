"""The built-in trainer: from a job's channels and hyperparameters to a model directory.

The order of things: read, fit, measure, clone what predictions need, report, save.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from opt_ml.environment import Environment
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
    from opt_ml_autogluon.tabular import channels, evaluation, fitting, progress, writing

    found = find_channels(environment)
    if not fits_here(environment):
        return True
    tables = channels.read_tables(found, settings)
    identity = progress.identity(settings, tables.columns, tables.rows)
    state = progress.Progress(Checkpoints.open(environment, "autogluon", identity))
    with tempfile.TemporaryDirectory(prefix="autogluon-") as scratch, stopping.deferred():
        fitted = fitting.fit(tables, settings, Path(scratch) / "predictor", state)
        evaluated = evaluation.evaluate(fitted, tables, settings["feature_importance"])
        writing.write(environment, settings, tables, fitted, evaluated)
    return fitted.is_whole
