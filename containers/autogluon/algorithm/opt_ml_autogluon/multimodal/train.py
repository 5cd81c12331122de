"""The trainer of images, text, and tables that hold both: from channels to a model directory.

The order of things: read, fit, measure, report, save.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from opt_ml.environment import Environment
from opt_ml.training import stopping
from opt_ml.training.checkpoints import Checkpoints

from opt_ml_autogluon.job_channels import find_channels, fits_here
from opt_ml_autogluon.multimodal.settings import Settings
from opt_ml_autogluon.pretrained import CHANNEL, offered


def train(environment: Environment) -> bool:
    """Fit and write the model; False where the job was stopped, and what could be served is written.

    Raises:
        UserError, Stopped: see `opt_ml_autogluon.train.train`.
    """
    settings = Settings.read(environment.hyperparameters, environment.raw_hyperparameters)
    content = "a folder of images for each class" if settings["task"] == "image" else "CSV or Parquet files"
    found = find_channels(environment, content, (CHANNEL,))
    if not fits_here(environment):
        return True
    with offered(found.get(CHANNEL)) as weights:
        print("Loading AutoGluon.", flush=True)
        from opt_ml_autogluon.vision import make_importable, refuse_truncated

        make_importable()
        from opt_ml_autogluon.multimodal import channels, evaluation, fitting, networks, progress, writing

        refuse_truncated()
        data = channels.read_data(found, settings)
        network = networks.choose_network(data.kinds, settings, weights)
        identity = progress.identity(settings, data)
        checkpoints = Checkpoints.open(environment, f"autogluon-{settings['task']}", identity)
        with tempfile.TemporaryDirectory(prefix="autogluon-") as scratch, stopping.deferred():
            fitted = fitting.fit(data, settings, network, Path(scratch) / "predictor", checkpoints)
            evaluated = evaluation.evaluate(fitted, data)
            writing.write(environment, settings, data, fitted, evaluated)
    return fitted.is_whole
