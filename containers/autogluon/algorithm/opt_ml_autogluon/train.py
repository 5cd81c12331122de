"""The built-in trainer: what the hyperparameter `task` says."""

from __future__ import annotations

import time

from opt_ml.environment import Environment
from opt_ml.training import stopping

from opt_ml_autogluon.tasks import read_task, task_module


def train(environment: Environment) -> None:
    """Run a training job (the image's `opt_ml.train`).

    Raises:
        UserError: data or hyperparameters that do not fit, with the cause and the cure in one line.
        Stopped: the job was told to stop; what could be served is in the model directory (TRAIN-95).
    """
    started = time.monotonic()
    task = task_module(read_task(environment.hyperparameters), "train")
    if not task.train(environment):
        raise stopping.Stopped
    print(f"Done in {time.monotonic() - started:.1f} s.")
