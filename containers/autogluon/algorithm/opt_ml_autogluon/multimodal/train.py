"""The trainer of images, text, and tables that hold both: from channels to a model directory.

The order of things: read, fit, measure, report, save.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from opt_ml.environment import Environment
from opt_ml.training import stopping
from opt_ml.training.checkpoints import Checkpoints

from opt_ml_autogluon.job_channels import find_channels
from opt_ml_autogluon.multimodal.settings import read_settings
from opt_ml_autogluon.pretrained import CHANNEL, offered


def train(environment: Environment) -> None:
    """Run a training job of task=image, text or multimodal.

    Raises:
        UserError: data or hyperparameters that do not fit, with the cause and the cure in one line.
        Stopped: the job was told to stop; what could be served is in the model directory (TRAIN-95).
    """
    started = time.monotonic()
    settings = read_settings(environment.hyperparameters, environment.raw_hyperparameters)
    content = "a folder of images for each class" if settings["task"] == "image" else "CSV or Parquet files"
    found = find_channels(environment, content, (CHANNEL,))
    if not environment.is_leader:
        # One host fits, with all of its GPUs; two would write one model (TRAIN-74).
        print("AutoGluon trains on one host; this one has nothing to do.", flush=True)
        return
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
    if not fitted.is_whole:
        raise stopping.Stopped
    print(f"Done in {time.monotonic() - started:.1f} s.")
