"""The tasks of this image, and the hyperparameter that says which one a job is."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from opt_ml.training.hyperparameters import Hyperparameter, parse

# Each by the package that trains and serves it.
PACKAGES = {
    "tabular": "tabular",
    "timeseries": "timeseries",
    "image": "multimodal",
    "text": "multimodal",
    "multimodal": "multimodal",
}
TASK = Hyperparameter("task", "choice", "tabular", "What is learned from.", choices=tuple(PACKAGES))


def read_task(raw: Mapping[str, Any]) -> str:
    """The task that a job's hyperparameters name.

    Raises:
        UserError: there is no such task.
    """
    return str(parse(TASK, raw.get("task", TASK.default), "task"))


def task_module(task: str, name: str) -> Any:
    """A module of a task's package: its frameworks are imported here and no sooner."""
    return importlib.import_module(f"opt_ml_autogluon.{PACKAGES[task]}.{name}")
