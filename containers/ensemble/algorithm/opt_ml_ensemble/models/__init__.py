"""The models of the ensemble, by the names of the hyperparameter `models`."""

from __future__ import annotations

from opt_ml_ensemble.models.base import Curve, Model, Problem
from opt_ml_ensemble.models.catboost_model import CatBoostModel
from opt_ml_ensemble.models.scikit_learn import ExtraTrees, HistGradientBoosting, Linear, RandomForest
from opt_ml_ensemble.models.xgboost_model import XGBoostModel

MODELS: dict[str, type[Model]] = {
    kind.name: kind
    for kind in (CatBoostModel, XGBoostModel, ExtraTrees, RandomForest, HistGradientBoosting, Linear)
}

__all__ = [
    "MODELS",
    "CatBoostModel",
    "Curve",
    "ExtraTrees",
    "HistGradientBoosting",
    "Linear",
    "Model",
    "Problem",
    "RandomForest",
    "XGBoostModel",
]
