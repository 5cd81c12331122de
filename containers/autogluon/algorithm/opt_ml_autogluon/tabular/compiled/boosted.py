"""LightGBM, XGBoost and CatBoost from a matrix, each in one thread.

For a few rows, starting threads and handing work over costs more than the trees; workers take the CPUs.
"""

from __future__ import annotations

from typing import Any

import catboost
import numpy as np
from autogluon.core.constants import QUANTILE, REGRESSION, SOFTCLASS
from numpy.typing import NDArray

from opt_ml_autogluon.tabular.compiled.encoding import CategoryTables
from opt_ml_autogluon.tabular.compiled.layout import Layout, Matrix, Unsupported


class LightGBM:
    """Codes of categories are what the booster was trained on."""

    def __init__(self, model: Any, layout: Layout) -> None:
        if model.problem_type == SOFTCLASS:
            raise Unsupported(f"LightGBM for {model.problem_type}")
        self._levels: list[Any] | None = None
        if model.problem_type == QUANTILE:  # one booster a level
            self._levels = [model.model.model_dict[level] for level in model.model.quantile_levels]
        self._booster = model.model
        self._finish = model._post_process_predictions

    def __call__(self, matrix: Matrix) -> NDArray[Any]:
        """The predictions as AutoGluon's `_predict_proba` gives them."""
        if self._levels is not None:
            return np.column_stack([booster.predict(matrix, num_threads=1) for booster in self._levels])
        found: NDArray[Any] = self._finish(self._booster.predict(matrix, num_threads=1))
        return found


class XGBoost:
    """AutoGluon encodes categories in a sparse matrix, of which XGBoost takes every zero for missing."""

    def __init__(self, model: Any, layout: Layout) -> None:
        if model.problem_type in (QUANTILE, SOFTCLASS):
            raise Unsupported(f"XGBoost for {model.problem_type}")
        estimator = model.model
        self._booster = estimator.get_booster()
        self._booster.set_param({"nthread": 1})
        self._iterations = estimator._get_iteration_range(None)
        self._finish = None if model.problem_type == REGRESSION else _unified(model)
        self._is_one_hot = model._ohe
        self._tables: CategoryTables | None = None
        if not self._is_one_hot:
            return
        generator = model._ohe_generator
        self._others = layout.places(generator.other_cols)
        self._places = layout.places(generator.cat_cols)
        if self._places:
            self._tables = CategoryTables(generator.ohe_encs.transform, layout.part(self._places))

    def __call__(self, matrix: Matrix) -> NDArray[Any]:
        """The predictions as AutoGluon's `_predict_proba` gives them."""
        if self._is_one_hot:
            others = matrix[:, self._others]
            if self._tables is not None:
                others = np.hstack([self._tables(matrix[:, self._places]), others])
            matrix = np.where(others == 0, np.nan, others)
        found: NDArray[Any] = self._booster.inplace_predict(
            matrix, iteration_range=self._iterations, validate_features=False
        )
        return found if self._finish is None else self._finish(found)


class CatBoost:
    """Categories go to CatBoost as the texts of codes of its own."""

    def __init__(self, model: Any, layout: Layout) -> None:
        if model.problem_type == SOFTCLASS:
            raise Unsupported(f"CatBoost for {model.problem_type}")
        is_number = model.problem_type in (REGRESSION, QUANTILE)
        self._predict = model.model.predict if is_number else model.model.predict_proba
        self._finish = None if is_number else _unified(model)
        self._levels = len(model.quantile_levels) if model.problem_type == QUANTILE else 0
        names = model._category_features or []
        self._places = layout.places(names)
        if self._places != layout.category_places:
            raise Unsupported("CatBoost takes other columns for categories")
        self._numbers = len(layout.features) - len(names)
        if self._places != list(range(self._numbers, len(layout.features))):
            raise Unsupported("CatBoost has categories before numbers")
        self._texts = [
            _texts(model._category_mapping[name], layout.features[place].categories or 0)
            for name, place in zip(names, self._places, strict=True)
        ]

    def __call__(self, matrix: Matrix) -> NDArray[Any]:
        """The predictions as AutoGluon's `_predict_proba` gives them."""
        found: NDArray[Any] = self._predict(self._data(matrix), thread_count=1)
        if self._levels:
            return found.reshape(-1, self._levels)
        return found if self._finish is None else self._finish(found)

    def _data(self, matrix: Matrix) -> Any:
        numbers = matrix[:, : self._numbers].astype(np.float32)
        if not self._texts:
            return numbers
        texts = np.empty((len(matrix), len(self._texts)), dtype=object)
        for place, (column, known) in enumerate(zip(matrix[:, self._numbers :].T, self._texts, strict=True)):
            texts[:, place] = known[np.where(np.isnan(column), len(known) - 1, column).astype(np.int64)]
        return catboost.FeaturesData(numbers if self._numbers else None, texts)


def _texts(mapping: dict[Any, int], categories: int) -> NDArray[np.object_]:
    """CatBoost's text of each category, and last that of a missing one."""
    codes = [mapping.get(category, len(mapping)) for category in (*range(categories), "__NaN__")]
    texts = np.empty(len(codes), dtype=object)
    texts[:] = [b"%d" % code for code in codes]
    return texts


def _unified(model: Any) -> Any:
    """AutoGluon's one form of probabilities: of the positive class for two, a column each for more."""
    return model._convert_proba_to_unified_form
