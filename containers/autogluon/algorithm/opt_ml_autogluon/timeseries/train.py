"""The trainer of series: from a job's channels and hyperparameters to a model directory.

The order of things: read, fit, measure, keep what forecasts need, report, save.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from opt_ml.environment import Environment
from opt_ml.training import stopping
from opt_ml.training.checkpoints import Checkpoints

from opt_ml_autogluon.job_channels import find_channels, fits_here
from opt_ml_autogluon.pretrained import CHANNEL, offered
from opt_ml_autogluon.progress import ModelCheckpoints
from opt_ml_autogluon.timeseries.settings import Settings


def train(environment: Environment) -> bool:
    """Fit and write the model; False where the job was stopped, and what could be served is written.

    Raises:
        UserError, Stopped: see `opt_ml_autogluon.train.train`.
    """
    settings = Settings.read(environment.hyperparameters, environment.raw_hyperparameters)
    found = find_channels(environment, further=(CHANNEL,))
    if not fits_here(environment):
        return True
    with offered(found.get(CHANNEL)) as weights:
        print("Loading AutoGluon.", flush=True)
        from opt_ml_autogluon.vision import make_importable

        make_importable()  # torchvision, which networks and pretrained models come upon
        from opt_ml_autogluon.timeseries import channels, evaluation, fitting, models, progress, writing

        chosen = models.choose_models(settings, weights)
        data = channels.read_data(found, settings)
        models.start_processes(chosen)
        state = ModelCheckpoints(
            Checkpoints.open(environment, "autogluon-timeseries", progress.identity(settings, data))
        )
        with tempfile.TemporaryDirectory(prefix="autogluon-") as scratch, stopping.deferred():
            fitted = fitting.fit(data, settings, chosen, Path(scratch) / "predictor", state)
            evaluated = evaluation.evaluate(fitted, data)
            writing.write(environment, settings, data, fitted, evaluated, weights)
    return fitted.is_whole
