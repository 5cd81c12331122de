"""The trainer of series: from a job's channels and hyperparameters to a model directory.

The order of things: read, fit, measure, keep what forecasts need, report, save.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from opt_ml.environment import Environment
from opt_ml.training import stopping
from opt_ml.training.checkpoints import Checkpoints

from opt_ml_autogluon.job_channels import find_channels
from opt_ml_autogluon.pretrained import CHANNEL, offered
from opt_ml_autogluon.timeseries.settings import read_settings


def train(environment: Environment) -> None:
    """Run a training job of task=timeseries.

    Raises:
        UserError: data or hyperparameters that do not fit, with the cause and the cure in one line.
        Stopped: the job was told to stop; what could be served is in the model directory (TRAIN-95).
    """
    started = time.monotonic()
    settings = read_settings(environment.hyperparameters, environment.raw_hyperparameters)
    found = find_channels(environment, further=(CHANNEL,))
    if not environment.is_leader:
        # AutoGluon fits on one host, and two would write one model (TRAIN-74).
        print("AutoGluon trains on one host; this one has nothing to do.", flush=True)
        return
    with offered(found.get(CHANNEL)) as weights:
        print("Loading AutoGluon.", flush=True)
        if weights.names:
            from opt_ml_autogluon.vision import make_importable

            make_importable()  # torchvision, which pretrained models come upon
        from opt_ml_autogluon.timeseries import channels, evaluation, fitting, models, progress, writing

        chosen = models.choose_models(settings, weights)
        data = channels.read_data(found, settings)
        state = progress.Progress(
            Checkpoints.open(environment, "autogluon-timeseries", progress.identity(settings, data))
        )
        with tempfile.TemporaryDirectory(prefix="autogluon-") as scratch, stopping.deferred():
            fitted = fitting.fit(data, settings, chosen, Path(scratch) / "predictor", state)
            evaluated = evaluation.evaluate(fitted, data)
            writing.write(environment, settings, data, fitted, evaluated, weights)
    if not fitted.is_whole:
        raise stopping.Stopped
    print(f"Done in {time.monotonic() - started:.1f} s.")
