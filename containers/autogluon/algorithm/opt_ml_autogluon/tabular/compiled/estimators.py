"""scikit-learn's models from a matrix: forests, neighbours and linear models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn
from autogluon.core.constants import BINARY, MULTICLASS, REGRESSION, SOFTCLASS
from numpy.typing import NDArray
from sklearn.ensemble import _gradient_boosting
from sklearn.tree import _tree

from opt_ml_autogluon.tabular.compiled.encoding import column_transformer
from opt_ml_autogluon.tabular.compiled.layout import Layout, Matrix, Unsupported


class _Estimator:
    """Of scikit-learn, asked for numbers or for probabilities."""

    def __init__(self, model: Any) -> None:
        if model.problem_type == SOFTCLASS:
            raise Unsupported(f"{type(model).__name__} for {model.problem_type}")
        is_number = model.problem_type == REGRESSION
        self._predict = model.model.predict if is_number else model.model.predict_proba
        self._finish = None if is_number else model._convert_proba_to_unified_form

    def _ask(self, matrix: NDArray[Any]) -> NDArray[Any]:
        with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
            found: NDArray[Any] = self._predict(matrix)
        return found if self._finish is None else self._finish(found)


class Neighbours(_Estimator):
    """The nearest rows of the training; a missing number is 0."""

    def __init__(self, model: Any, layout: Layout) -> None:
        super().__init__(model)
        if layout.category_places:
            raise Unsupported("neighbours by categories")

    def __call__(self, matrix: Matrix) -> NDArray[Any]:
        """The predictions as AutoGluon's `_predict_proba` gives them."""
        return self._ask(np.where(np.isnan(matrix), 0, matrix).astype(np.float32))


class Linear(_Estimator):
    """Ridge, lasso or logistic regression on encoded columns."""

    def __init__(self, model: Any, layout: Layout) -> None:
        super().__init__(model)
        self._encode = column_transformer(model._pipeline, layout)

    def __call__(self, matrix: Matrix) -> NDArray[Any]:
        """The predictions as AutoGluon's `_predict_proba` gives them."""
        return self._ask(self._encode(matrix))


class Forest:
    """Random forests and extra trees: every tree in one call, without a task and a thread for each."""

    def __init__(self, model: Any, layout: Layout) -> None:
        estimator = model.model
        trees = [one.tree_ for one in getattr(estimator, "estimators_", [])]
        if model.problem_type not in (REGRESSION, BINARY, MULTICLASS) or not trees:
            raise Unsupported(f"{type(estimator).__name__} for {model.problem_type}")
        if any(tree.n_outputs != 1 for tree in trees):
            raise Unsupported("a forest of several outputs")
        # What AutoGluon writes for a missing number, and for a missing category.
        self._missing = np.zeros(len(layout.features))
        self._missing[layout.category_places] = -1
        self._predict = _average(trees, model)

    def __call__(self, matrix: Matrix) -> NDArray[Any]:
        """The predictions as AutoGluon's `_predict_proba` gives them."""
        filled = np.where(np.isnan(matrix), self._missing, matrix)
        return self._predict(np.ascontiguousarray(filled, dtype=np.float32))


def _average(trees: list[Any], model: Any) -> Callable[[NDArray[np.float32]], NDArray[Any]]:
    """The mean of what the trees say: a number, or the probabilities of classes."""
    if model.problem_type == MULTICLASS:
        return lambda matrix: sum(tree.predict(matrix) for tree in trees) / len(trees)
    if model.problem_type == BINARY:
        trees = [_of_second_class(tree) for tree in trees]
    # scikit-learn's loop over boosted trees is the only one that it has outside Python.
    stages = np.array([[_Stage(tree)] for tree in trees], dtype=object)

    def predict(matrix: NDArray[np.float32]) -> NDArray[Any]:
        total = np.zeros((len(matrix), 1))
        _gradient_boosting.predict_stages(stages, matrix, 1.0, total)
        return total[:, 0] / len(trees)

    return predict


class _Stage:
    """What the loop looks at of an estimator."""

    def __init__(self, tree: Any) -> None:
        self.tree_ = tree


def _of_second_class(tree: Any) -> Any:
    """The tree with the probability of the second class as its only value."""
    state = tree.__getstate__()
    state["values"] = np.ascontiguousarray(state["values"][:, :, 1:2])
    made = _tree.Tree(tree.n_features, np.array([1], dtype=np.intp), 1)
    made.__setstate__(state)
    return made
