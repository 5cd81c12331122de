"""A trained ensemble in the form that is compiled: scores of every model, and how they become one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opt_ml_ensemble.bundle import Bundle
from opt_ml_ensemble.compiled.columns import Columns
from opt_ml_ensemble.compiled.from_catboost import catboost_scores
from opt_ml_ensemble.compiled.from_scikit_learn import forest_scores, histogram_scores, linear_scores
from opt_ml_ensemble.compiled.from_xgboost import xgboost_scores
from opt_ml_ensemble.compiled.scores import MOST_NODES, NotCompilable, Scores
from opt_ml_ensemble.models import (
    CatBoostModel,
    ExtraTrees,
    HistGradientBoosting,
    Linear,
    Model,
    RandomForest,
    XGBoostModel,
)
from opt_ml_ensemble.schema import Task


@dataclass(frozen=True)
class Meta:
    """The linear estimator of stacking.

    Attributes:
        coefficients: shape (inputs, outputs).
        constant: shape (outputs,).
        classes: codes of the classes that it knows; empty for a regression.
    """

    coefficients: NDArray[np.float64]
    constant: NDArray[np.float64]
    classes: tuple[int, ...]


@dataclass(frozen=True)
class Ensemble:
    """What is compiled.

    Attributes:
        task: the task.
        n_classes: 0 for a regression.
        columns: what the trees split on.
        models: scores by name; models of weight 0 are left out.
        kind: of the blend.
        weights: by model; empty for stacking.
        meta: of stacking, else None.
    """

    task: Task
    n_classes: int
    columns: Columns
    models: Mapping[str, Scores]
    kind: str
    weights: Mapping[str, float]
    meta: Meta | None

    @property
    def nodes(self) -> int:
        """Nodes of all trees."""
        return sum(scores.nodes for scores in self.models.values())


def ensemble_of(bundle: Bundle) -> Ensemble:
    """The ensemble of a bundle.

    Raises:
        NotCompilable: it has a model that cannot be compiled, by name and reason.
    """
    schema, blend = bundle.schema, bundle.blend
    used = schema.used
    n_codes = {position: len(used[position].categories) for position in schema.categorical}
    columns = Columns(len(used), n_codes)
    scores = {}
    for name, model in bundle.models.items():
        if blend.weights.get(name, 1.0) <= 0:
            continue
        try:
            scores[name] = _scores(model, columns)
        except NotCompilable as found:
            raise NotCompilable(f"{name}: {found}") from None
    ensemble = Ensemble(
        schema.task,
        len(schema.classes),
        columns,
        scores,
        blend.kind,
        dict(blend.weights),
        None if blend.meta is None else _meta(blend.meta, schema.task),
    )
    if ensemble.nodes > MOST_NODES:
        raise NotCompilable(f"its trees have {ensemble.nodes} nodes, more than {MOST_NODES}")
    return ensemble


def _scores(model: Model, columns: Columns) -> Scores:
    if isinstance(model, CatBoostModel):
        return catboost_scores(model, columns)
    if isinstance(model, XGBoostModel):
        return xgboost_scores(model, columns)
    if isinstance(model, ExtraTrees | RandomForest):
        return forest_scores(model)
    if isinstance(model, HistGradientBoosting):
        return histogram_scores(model, columns)
    if isinstance(model, Linear):
        return linear_scores(model, columns)
    raise NotCompilable("it is of a kind that has no compiled form")


def _meta(estimator: Any, task: Task) -> Meta:
    classes = () if task == "regression" else tuple(int(code) for code in estimator.classes_)
    return Meta(
        np.atleast_2d(estimator.coef_).T,
        np.atleast_1d(np.asarray(estimator.intercept_, dtype=np.float64)),
        classes,
    )
