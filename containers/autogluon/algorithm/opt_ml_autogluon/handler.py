"""The image's handler: that of the task which a model was trained for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from opt_ml_autogluon.model_json import DESCRIPTION, read_model_json
from opt_ml_autogluon.tasks import PACKAGES, task_module


def handler_for(model_dir: Path) -> Any:
    """The module with the functions for a model (the image's `opt_ml.handler`).

    Raises:
        UserError: a model.json that is broken, or of a task that this image does not know.
    """
    if not (model_dir / DESCRIPTION).exists():
        return task_module(
            "tabular", "handler"
        )  # a script of the user's serves it, or an error says what to do
    with read_model_json(model_dir) as content:
        task = content["task"]
        if task not in PACKAGES:
            raise ValueError(f"task {task!r} is none of {', '.join(PACKAGES)}")
    return task_module(task, "handler")
