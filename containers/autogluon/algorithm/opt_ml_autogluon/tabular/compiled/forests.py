"""Forests of scikit-learn from a matrix: every tree in one call, without a thread and a task for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from autogluon.core.constants import BINARY, MULTICLASS, REGRESSION
from numpy.typing import NDArray
from sklearn.ensemble import _gradient_boosting
from sklearn.tree import _tree

from opt_ml_autogluon.tabular.compiled.layout import Layout, Matrix, Unsupported


class Forest:
    """Random forests and extra trees."""

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
