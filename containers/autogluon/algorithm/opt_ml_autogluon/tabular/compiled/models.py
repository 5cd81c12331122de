"""Each model of a predictor, and the bags, stacks and weighted ensembles made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from autogluon.core.models import BaggedEnsembleModel, GreedyWeightedEnsembleModel, StackerEnsembleModel
from autogluon.core.utils import normalize_pred_probas
from autogluon.tabular.models import (
    CatBoostModel,
    KNNModel,
    LGBModel,
    LinearModel,
    RFModel,
    TabularNeuralNetTorchModel,
    XGBoostModel,
    XTModel,
)
from numpy.typing import NDArray

from opt_ml_autogluon.tabular.compiled.boosted import CatBoost, LightGBM, XGBoost
from opt_ml_autogluon.tabular.compiled.estimators import Forest, Linear, Neighbours
from opt_ml_autogluon.tabular.compiled.features import Rows
from opt_ml_autogluon.tabular.compiled.layout import Feature, Layout, Matrix, Unsupported
from opt_ml_autogluon.tabular.compiled.network import Network

Predictions = Mapping[str, NDArray[Any]]
"""By model, of shape (rows,), or (rows, classes or levels)."""

_KINDS: Mapping[type, Callable[[Any, Layout], Callable[[Matrix], NDArray[Any]]]] = {
    CatBoostModel: CatBoost,
    KNNModel: Neighbours,
    LGBModel: LightGBM,
    LinearModel: Linear,
    RFModel: Forest,
    TabularNeuralNetTorchModel: Network,
    XGBoostModel: XGBoost,
    XTModel: Forest,
}


class Node(Protocol):
    """A model as the trainer knows it, which may be a bag of several."""

    def __call__(self, rows: Rows, found: Predictions) -> NDArray[Any]:
        """Its predictions, made of the rows, or of those that other models have `found`, or of both."""


def compile_model(model: Any, layout: Layout) -> Node:
    """A model of a predictor, on arrays.

    Raises:
        Unsupported: the model is of a kind, or has a part, that is not known.
    """
    if not isinstance(model, BaggedEnsembleModel):
        single = _Member(model, layout)
        return lambda rows, found: single(rows.matrix)
    children = [model.load_child(child) for child in model.models]
    if all(type(child) is GreedyWeightedEnsembleModel for child in children):
        return _Bag(model, [_Weighted(child, model) for child in children])
    stack = _Stack(model, layout)
    members = [_Member(child, stack.layout) for child in children]
    return _Bag(model, [lambda rows, found, one=one: one(stack.matrix(rows, found)) for one in members])


class AsFitted:
    """AutoGluon's own prediction, from a data frame."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def __call__(self, rows: Rows, found: Predictions) -> NDArray[Any]:
        """See `Node`."""
        more: dict[str, Any] = {}
        if isinstance(self._model, StackerEnsembleModel):
            more = {"infer": False, "model_pred_proba_dict": dict(found)}
        predictions: NDArray[Any] = self._model.predict_proba(rows.frame, **more)
        return predictions


class _Member:
    """A model that is made of no other."""

    def __init__(self, model: Any, layout: Layout) -> None:
        make = _KINDS.get(type(model))
        if make is None:
            raise Unsupported(f"{type(model).__name__} is not known")
        self._places = layout.places(_names(model))
        self._is_all = self._places == list(range(len(layout.features)))
        self._predict = make(model, layout.part(self._places))
        self._model = model

    def __call__(self, matrix: Matrix) -> NDArray[Any]:
        found = self._predict(matrix if self._is_all else matrix[:, self._places])
        return _finished(self._model, found)


class _Weighted:
    """The weighted sum of what other models predict."""

    def __init__(self, model: Any, outer: Any) -> None:
        self._model = model
        self._sum = model.model.predict_proba
        self._bases = [outer.stack_column_prefix_to_model_map[name] for name in model.base_model_names]

    def __call__(self, rows: Rows, found: Predictions) -> NDArray[Any]:
        return _finished(self._model, self._sum([found[name] for name in self._bases]))


class _Bag:
    """The mean of some children."""

    def __init__(self, model: Any, children: list[Node]) -> None:
        self._model = model
        self._children = children

    def __call__(self, rows: Rows, found: Predictions) -> NDArray[Any]:
        total = self._children[0](rows, found)
        for child in self._children[1:]:
            total = total + child(rows, found)
        return _calibrated(self._model, total / len(self._children))


class _Stack:
    """The columns of a stacker: predictions of other models, then the features."""

    def __init__(self, model: Any, layout: Layout) -> None:
        self._bases = [model.stack_column_prefix_to_model_map[name] for name in model.stack_column_prefix_lst]
        self._is_with_features = not self._bases or model.params["use_orig_features"] is True
        stacked = tuple(Feature(name, dtype="float32") for name in model.stack_columns) if self._bases else ()
        self.layout = Layout((*stacked, *(layout.features if self._is_with_features else ())))

    def matrix(self, rows: Rows, found: Predictions) -> Matrix:
        parts = [found[name].reshape(len(rows.matrix), -1) for name in self._bases]
        if not parts:
            return rows.matrix
        return np.hstack([*parts, rows.matrix] if self._is_with_features else parts).astype(np.float64)


def _names(model: Any) -> list[str]:
    """The columns that a model takes, in its order.

    Raises:
        Unsupported: it makes features of its own.
    """
    if model._model_specific_feature_generators not in (None, "NOTSET"):
        raise Unsupported(f"{type(model).__name__} makes features of its own")
    if model._is_features_in_same_as_ex:
        return list(model.features)
    cleaned = getattr(model, "_features_internal_map", None) or {}  # LightGBM's names
    original = {new: name for name, new in cleaned.items()}
    return [original.get(name, name) for name in model._features_internal_to_align]


def _finished(model: Any, found: NDArray[Any]) -> NDArray[Any]:
    """As every model of AutoGluon ends a prediction."""
    if model.normalize_pred_probas:
        found = normalize_pred_probas(found, model.problem_type)
    return _calibrated(model, found.astype(np.float32))


def _calibrated(model: Any, found: NDArray[Any]) -> NDArray[Any]:
    if model.temperature_scalar is not None:
        found = model._apply_temperature_scaling(found)
    elif model.conformalize is not None:
        found = model._apply_conformalization(found)
    return found
