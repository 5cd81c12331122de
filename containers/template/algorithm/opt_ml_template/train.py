"""The built-in trainer: from a job's channels and hyperparameters to a model directory.

It draws a line through the rows by gradient descent, in NumPy. What is around it is what any algorithm needs:
hyperparameters with clear errors, the channel's rows, metrics that a tuning job finds, SIGTERM, and a model
directory that is whole or empty.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from opt_ml.environment import Environment
from opt_ml.errors import UserError
from opt_ml.nearest import nearest
from opt_ml.tables.files import Rows, as_numbers, read_channel
from opt_ml.training import stopping
from opt_ml.training.hyperparameters import Hyperparameter, read_given
from opt_ml.training.metric_lines import print_metrics
from opt_ml.training.staging import staged_model

from opt_ml_template.model import Line

Matrix = NDArray[np.float64]

HYPERPARAMETERS = (
    Hyperparameter("label", "text", None, "Column to predict; the last one where it is not said."),
    Hyperparameter("header", "choice", "auto", "Is the first line names?", choices=("auto", "true", "false")),
    Hyperparameter("rounds", "integer", 100, "Passes over the rows.", low=1),
    Hyperparameter("learning_rate", "number", 0.1, "Step of one pass.", low=0, high=1, above=True),
)
DEFAULTS = {row.name: row.default for row in HYPERPARAMETERS}
EVERY = 100  # rounds between two lines of the log


def train(environment: Environment) -> None:
    """Run a training job (the image's `opt_ml.train`).

    Raises:
        UserError: data or hyperparameters that do not fit, with the cause and the cure in one line.
        Stopped: the job was told to stop; the line so far is in the model directory (TRAIN-95).
    """
    given = read_given(HYPERPARAMETERS, environment.hyperparameters, environment.raw_hyperparameters)
    settings = DEFAULTS | given
    if not environment.is_leader:
        print("This host has nothing to do: the first host trains.")  # two would write one model (TRAIN-74)
        return
    channel = environment.channels.get("train") or environment.channels.get("training")
    if channel is None:
        raise UserError("The job has no channel train. Add one with CSV or Parquet files.")
    rows = read_channel(channel, settings["header"], settings["label"])
    label = _label(rows, settings["label"])
    target = _numbers(rows, label)
    if not len(target) or (target == target[0]).all():
        raise UserError(f"The label {label!r} has the same value in every row; there is nothing to learn.")
    features = tuple(name for name in rows.frame.columns if name != label)
    matrix = np.column_stack([_numbers(rows, name) for name in features])
    with stopping.deferred():
        line = _fit(matrix, target, settings["rounds"], settings["learning_rate"])
        with staged_model(environment.model_dir) as staging:
            Line(label, features, rows.named, *line).save(staging)
    stopping.check()


def _label(rows: Rows, name: str | None) -> str:
    columns = [str(column) for column in rows.frame.columns]
    if name is None:
        return columns[-1]
    if name not in columns:
        raise UserError(
            f"The label {name!r} is no column.{nearest(name, columns)} There are: {', '.join(columns)}."
        )
    return name


def _numbers(rows: Rows, name: str) -> Matrix:
    values, wrong = as_numbers(rows.frame[name])
    if wrong is not None:
        text = rows.frame[name].iloc[wrong]
        raise UserError(f"{rows.where(wrong)}: column {name!r} holds {text!r}. Only numbers are taken.")
    if np.isnan(values).any():
        missing = int(np.argmax(np.isnan(values)))
        raise UserError(f"{rows.where(missing)}: column {name!r} has no value. Fill it, or take the row out.")
    return values


def _fit(matrix: Matrix, target: Matrix, rounds: int, rate: float) -> tuple[Matrix, float]:
    """Weights of the columns and the constant, after so many rounds or when the job is told to stop."""
    center, spread = matrix.mean(axis=0), matrix.std(axis=0)
    scaled = (matrix - center) / np.where(spread > 0, spread, 1)
    weights, constant = np.zeros(matrix.shape[1]), float(target.mean())
    for number in range(1, rounds + 1):
        errors = scaled @ weights + constant - target
        if number == 1 or number == rounds or number % EVERY == 0:
            print_metrics("train", {"rmse": float(np.sqrt((errors**2).mean()))}, f"round {number}")
        if stopping.requested():
            break
        weights -= rate * (scaled.T @ errors) / len(target)
    weights = weights / np.where(spread > 0, spread, 1)
    return weights, constant - float(center @ weights)
