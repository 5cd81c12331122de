"""Neighbours and linear models of scikit-learn, and AutoGluon's network, from a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import sklearn
import torch
from autogluon.core.constants import REGRESSION, SOFTCLASS
from numpy.typing import NDArray

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


class Network:
    """AutoGluon's network of PyTorch: columns as they are or encoded, and categories to embed."""

    def __init__(self, model: Any, layout: Layout) -> None:
        if next(model.model.parameters()).device.type != "cpu":
            raise Unsupported("a network on a GPU")
        self._network = model.model
        dropped = model.features_to_drop or ()
        self._places = [at for at, feature in enumerate(layout.features) if feature.name not in dropped]
        self._encode = column_transformer(model.processor, layout.part(self._places))
        self._vector: list[int] = []
        self._embedded: list[int] = []
        for name, kind in model.feature_type_map.items():
            (self._vector if kind == "vector" else self._embedded).extend(model.feature_arraycol_map[name])

    def __call__(self, matrix: Matrix) -> NDArray[Any]:
        """The predictions as AutoGluon's `_predict_proba` gives them."""
        encoded = self._encode(matrix[:, self._places])
        batch: list[Any] = []
        if self._vector:
            with np.errstate(over="ignore"):  # a number that no float32 can hold is an infinite one
                batch.append(torch.from_numpy(encoded[:, self._vector].astype(np.float32)))
        if self._embedded:
            codes = torch.from_numpy(encoded[:, self._embedded].astype(np.int64))
            batch.append(list(codes.unbind(dim=1)))
        found: NDArray[Any] = self._network.predict(batch)
        return found
