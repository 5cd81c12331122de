"""Several predictions made one: mean, weighted mean, vote, or stacking.

Weights and the meta-estimator are found on rows that the models have not seen (out-of-fold, or the
validation rows), and measured on rows that they themselves have not seen (`cross_fitted`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opt_ml.errors import UserError
from scipy.optimize import minimize
from sklearn.linear_model import LinearRegression, LogisticRegression

from opt_ml_ensemble.models.base import every_class
from opt_ml_ensemble.schema import Data, Task

Predictions = Mapping[str, NDArray[np.float64]]
Folds = Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]

_LEARNED = frozenset({"weighted", "stacking"})
TIE_BREAK = 1e-3
FLOOR = 1e-6  # of the probabilities whose logarithms are stacked


@dataclass(frozen=True)
class Blend:
    """How predictions become one.

    Attributes:
        kind: `mean`, `weighted`, `vote` or `stacking`.
        task: the task.
        weights: by model, sum 1; equal for `mean` and `vote`, empty for `stacking`.
        meta: of stacking: the linear estimator over the models' predictions.
    """

    kind: str
    task: Task
    weights: Mapping[str, float]
    meta: Any = None

    def combine(self, predictions: Predictions) -> NDArray[np.float64]:
        """One prediction of the same shape as each single one: (rows,) or (rows, classes)."""
        if self.kind == "stacking":
            inputs = _meta_inputs(self.task, predictions)
            if self.task == "regression":
                return np.asarray(self.meta.predict(inputs), dtype=np.float64)
            width = next(iter(predictions.values())).shape[1]
            return every_class(self.meta.predict_proba(inputs), self.meta.classes_, width)
        mean = np.zeros_like(next(iter(predictions.values())))
        for name, weight in self.weights.items():
            if weight > 0:  # a model of weight 0 need not have predicted
                mean += weight * predictions[name]
        if self.kind == "vote":
            votes = np.zeros_like(mean)
            for predicted in predictions.values():
                votes[np.arange(len(votes)), predicted.argmax(axis=1)] += 1.0 / len(predictions)
            return (votes + TIE_BREAK * mean) / (1.0 + TIE_BREAK)
        return mean


def fit_blend(kind: str, data: Data, predictions: Predictions, task: Task) -> Blend:
    """Find the blend of models from predictions for rows that they have not been trained on.

    Args:
        kind: the hyperparameter `blend`.
        data: the true labels of those rows.
        predictions: by model.
        task: the task.

    Raises:
        UserError: stacking on rows of one class.
    """
    if kind == "stacking":
        if task != "regression" and len(np.unique(data.label)) < 2:
            raise UserError(
                "blend stacking needs validation rows of two classes or more. Use mean, or k_fold."
            )
        meta = LinearRegression(positive=True) if task == "regression" else LogisticRegression(max_iter=1000)
        meta.fit(_meta_inputs(task, predictions), data.label, sample_weight=data.weight)
        return Blend(kind, task, {}, meta)
    if kind == "weighted":
        return Blend(kind, task, _best_weights(task, data, predictions))
    return Blend(kind, task, dict.fromkeys(predictions, 1.0 / len(predictions)))


def cross_fitted(
    kind: str, data: Data, predictions: Predictions, task: Task, folds: Folds
) -> NDArray[np.float64]:
    """Blended predictions in which no row had a say in its own weights.

    Without this the blend would be measured on the rows that chose its weights, and always look best.
    """
    if kind not in _LEARNED:
        return fit_blend(kind, data, predictions, task).combine(predictions)
    blended = np.empty_like(next(iter(predictions.values())))
    for learned, held_out in folds:
        part = {name: predicted[learned] for name, predicted in predictions.items()}
        blend = fit_blend(kind, data.take(learned), part, task)
        blended[held_out] = blend.combine(
            {name: predicted[held_out] for name, predicted in predictions.items()}
        )
    return blended


def _best_weights(task: Task, data: Data, predictions: Predictions) -> dict[str, float]:
    """Weights on the simplex with the smallest squared error or log loss; both are convex in the weights."""
    names = list(predictions)
    stacked = np.stack([predictions[name] for name in names])
    row_weight = np.ones(len(data)) if data.weight is None else data.weight
    row_weight = row_weight / row_weight.sum()
    if task == "regression":
        scale = float(np.var(data.label)) or 1.0

        def loss(weights: NDArray[np.float64]) -> float:
            return float(row_weight @ (weights @ stacked - data.label) ** 2) / scale
    else:
        of_truth = stacked[:, np.arange(len(data)), data.label]

        def loss(weights: NDArray[np.float64]) -> float:
            return -float(row_weight @ np.log(np.clip(weights @ of_truth, 1e-15, None)))

    start = np.full(len(names), 1.0 / len(names))
    found = minimize(
        loss,
        start,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * len(names),
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1.0},
    )
    weights = np.where(found.x > 1e-4, found.x, 0.0) if found.success else start
    return {name: float(weight) for name, weight in zip(names, weights / weights.sum(), strict=True)}


def _meta_inputs(task: Task, predictions: Predictions) -> NDArray[np.float64]:
    if task == "regression":
        return np.column_stack(list(predictions.values()))
    clipped = [np.clip(predicted, FLOOR, 1.0 - FLOOR) for predicted in predictions.values()]
    if task == "binary":
        return np.column_stack([np.log(part[:, 1] / (1.0 - part[:, 1])) for part in clipped])
    return np.hstack([np.log(part) for part in clipped])
