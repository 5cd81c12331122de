"""Measures of a prediction, and their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opt_ml.errors import UserError
from sklearn import metrics as sk

from opt_ml_ensemble.schema import Data, Task

# By task, the first is the one that ranks the models unless eval_metric says otherwise.
OF_TASK: Mapping[Task, tuple[str, ...]] = {
    "regression": ("rmse", "mae", "r2"),
    "binary": ("auc", "logloss", "accuracy", "f1"),
    "multiclass": ("accuracy", "mlogloss", "f1"),
}
SMALLER_IS_BETTER = frozenset({"rmse", "mae", "logloss", "mlogloss"})


def measure(task: Task, data: Data, predicted: NDArray[np.float64]) -> dict[str, float]:
    """Every metric of a task that can be computed.

    Args:
        task: the task.
        data: the rows with their true label and weights.
        predicted: shape (rows,) for a regression, else (rows, classes) of probabilities.

    Returns:
        name to value; `auc` and `r2` are left out where the rows do not define them (one class only, one
        row). `f1` is that of the positive class (binary) or the mean over classes (multiclass).
    """
    if task == "regression":
        return _of_numbers(data, predicted)
    return _of_classes(task, data, predicted)


def _of_numbers(data: Data, predicted: NDArray[np.float64]) -> dict[str, float]:
    weighted: dict[str, Any] = {"sample_weight": data.weight}
    found = {
        "rmse": float(sk.root_mean_squared_error(data.label, predicted, **weighted)),
        "mae": float(sk.mean_absolute_error(data.label, predicted, **weighted)),
    }
    if len(np.unique(data.label)) > 1:
        found["r2"] = float(sk.r2_score(data.label, predicted, **weighted))
    return found


def _of_classes(task: Task, data: Data, predicted: NDArray[np.float64]) -> dict[str, float]:
    weighted: dict[str, Any] = {"sample_weight": data.weight}
    chosen = predicted.argmax(axis=1)
    codes = list(range(predicted.shape[1]))
    # A vote can say 0: keep the logarithm finite, as XGBoost does.
    probabilities = np.clip(predicted, 1e-15, 1.0)
    loss = float(
        sk.log_loss(
            data.label, probabilities / probabilities.sum(axis=1, keepdims=True), labels=codes, **weighted
        )
    )
    accuracy = float(sk.accuracy_score(data.label, chosen, **weighted))
    if task == "multiclass":
        f1 = float(
            sk.f1_score(data.label, chosen, labels=codes, average="macro", zero_division=0, **weighted)
        )
        return {"accuracy": accuracy, "mlogloss": loss, "f1": f1}
    found = {"logloss": loss, "accuracy": accuracy}
    found["f1"] = float(sk.f1_score(data.label, chosen, zero_division=0, **weighted))
    if len(np.unique(data.label)) > 1:
        found = {"auc": float(sk.roc_auc_score(data.label, predicted[:, 1], **weighted)), **found}
    return found


def ranking_metric(task: Task, asked: str) -> str:
    """The metric that ranks the models of a job.

    Raises:
        UserError: `eval_metric` is none of the task's.
    """
    if asked == "auto":
        return OF_TASK[task][0]
    if asked not in OF_TASK[task]:
        raise UserError(
            f"eval_metric {asked} does not fit a {task} task. Use one of: {', '.join(OF_TASK[task])}."
        )
    return asked


def better(metric: str, values: Mapping[str, float]) -> list[str]:
    """The names in `values`, the best first."""
    return sorted(values, key=lambda name: values[name] if metric in SMALLER_IS_BETTER else -values[name])
