"""CatBoost, saved as cbm."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from catboost import CatBoost, CatBoostError, FeaturesData, Pool
from numpy.typing import NDArray
from opt_ml.errors import UserError

from opt_ml_ensemble.models.base import Curve, Model, Problem, shares, two_columns
from opt_ml_ensemble.schema import Data, Matrix

_LOSS = {"regression": "RMSE", "binary": "Logloss", "multiclass": "MultiClass"}
_METRIC = {"regression": "rmse", "binary": "logloss", "multiclass": "mlogloss"}
_MISSING = b""


class CatBoostModel(Model):
    """Gradient boosting on symmetric trees; categories by ordered target statistics."""

    name = "catboost"
    file = "catboost.cbm"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._numeric = [i for i in range(problem.n_features) if i not in problem.categorical]
        self._categorical = list(problem.categorical)
        self._model = CatBoost()

    def fit(self, parameters: Mapping[str, Any], train: Data, watched: Data | None) -> None:
        """Train; see `Model.fit`."""
        problem = self.problem
        options: dict[str, Any] = {
            **parameters,
            "loss_function": _LOSS[problem.task],
            "bootstrap_type": "Bernoulli",
            "random_seed": problem.seed,
            "thread_count": problem.threads,
            "allow_writing_files": False,  # it would write catboost_info/ into the working directory
            "logging_level": "Silent",
        }
        if problem.task == "multiclass":
            options["classes_count"] = problem.n_classes  # a fold may lack a class
        if watched is not None and problem.patience:
            options |= {"od_type": "Iter", "od_wait": problem.patience, "use_best_model": True}
        self._model = CatBoost(options)
        try:
            self._model.fit(self._pool(train), eval_set=None if watched is None else self._pool(watched))
        except CatBoostError as error:
            # Of rows and parameters that the others can do with: nothing varies within a fold, for one.
            cause = str(error).strip().rpartition("\n")[2].rpartition(": ")[2]
            raise UserError(
                f"CatBoost refuses {len(train)} of these rows or its parameters: {cause} "
                "Change them, or leave catboost out of the hyperparameter models."
            ) from None
        self.rounds = int(self._model.tree_count_)
        if watched is not None:
            history = self._model.get_evals_result()
            loss = _LOSS[problem.task]
            self.curve = Curve(_METRIC[problem.task], history["learn"][loss], history["validation"][loss])

    def predict(self, matrix: Matrix, threads: int = 1) -> NDArray[np.float64]:
        """Predict; see `Model.predict`."""
        data = self._features(matrix)
        if self.problem.task == "regression":
            return np.asarray(self._model.predict(data, thread_count=threads), dtype=np.float64)
        kind = "Probability"
        found = np.asarray(
            self._model.predict(data, prediction_type=kind, thread_count=threads), dtype=np.float64
        )
        return found if found.ndim == 2 else two_columns(found)

    def importance(self) -> NDArray[np.float64] | None:
        """CatBoost's PredictionValuesChange."""
        raw = np.zeros(self.problem.n_features)
        # In the order of FeaturesData: the numeric columns first.
        raw[self._numeric + self._categorical] = self._model.get_feature_importance()
        return shares(raw)

    def save(self, directory: Path) -> None:
        """Write catboost.cbm."""
        self._model.save_model(str(directory / self.file), format="cbm")

    @classmethod
    def load(cls, directory: Path, problem: Problem) -> CatBoostModel:
        """Read catboost.cbm."""
        model = cls(problem)
        model._model.load_model(str(directory / cls.file), format="cbm")
        model.rounds = int(model._model.tree_count_)
        return model

    def _pool(self, data: Data) -> Pool:
        return Pool(self._features(data.matrix), label=data.label, weight=data.weight)

    def _features(self, matrix: Matrix) -> Matrix | FeaturesData:
        if not self._categorical:
            # CatBoost makes the array that it is given read-only; other models need theirs writable.
            return matrix.view()
        codes = matrix[:, self._categorical]
        known = ~np.isnan(codes)
        texts = np.full(codes.shape, _MISSING, dtype=object)
        texts[known] = [b"%d" % code for code in codes[known].astype(np.int64)]
        numeric = np.ascontiguousarray(matrix[:, self._numeric]) if self._numeric else None
        return FeaturesData(num_feature_data=numeric, cat_feature_data=texts)
