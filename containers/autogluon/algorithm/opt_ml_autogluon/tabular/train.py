"""The built-in trainer: from a job's channels and hyperparameters to a model directory.

The order of things: read, fit, measure, clone what predictions need, report, save.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from opt_ml.environment import Environment
from opt_ml.training import stopping
from opt_ml.training.checkpoints import Checkpoints

from opt_ml_autogluon.tabular.settings import read_settings


def train(environment: Environment) -> None:
    """Run a training job (the image's `opt_ml.train`).

    Raises:
        UserError: data or hyperparameters that do not fit, with the cause and the cure in one line.
        Stopped: the job was told to stop; what could be served is in the model directory (TRAIN-95).
    """
    started = time.monotonic()
    settings = read_settings(environment.hyperparameters, environment.raw_hyperparameters)
    print("Loading AutoGluon.", flush=True)
    from opt_ml_autogluon.job_channels import find_channels
    from opt_ml_autogluon.tabular import channels, evaluation, fitting, progress, writing

    found = find_channels(environment)
    if not environment.is_leader:
        # AutoGluon fits on one host, and two would write one model (TRAIN-74).
        print("AutoGluon trains on one host; this one has nothing to do.", flush=True)
        return
    tables = channels.read_tables(found, settings)
    identity = progress.identity(settings, tables.columns, tables.rows)
    state = progress.Progress(Checkpoints.open(environment, "autogluon", identity))
    with tempfile.TemporaryDirectory(prefix="autogluon-") as scratch, stopping.deferred():
        fitted = fitting.fit(tables, settings, Path(scratch) / "predictor", state)
        evaluated = evaluation.evaluate(fitted, tables, settings["feature_importance"])
        writing.write(environment, settings, tables, fitted, evaluated)
    if not fitted.is_whole:
        raise stopping.Stopped
    print(f"Done in {time.monotonic() - started:.1f} s.")
