"""Which models a job of series fits: those of its preset, and pretrained ones where their weights are."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from autogluon.timeseries import TimeSeriesPredictor
from autogluon.timeseries.configs import get_hyperparameter_presets, get_predictor_presets
from autogluon.timeseries.models import local
from autogluon.timeseries.models.chronos.model import MODEL_ALIASES
from autogluon.timeseries.models.local.abstract_local_model import AbstractLocalModel
from autogluon.timeseries.models.registry import ModelRegistry
from autogluon.timeseries.models.toto2.model import Toto2Model
from autogluon.timeseries.utils.constants import AG_DEFAULT_N_JOBS
from joblib import Parallel, delayed
from opt_ml.errors import UserError

from opt_ml_autogluon.pretrained import Weights
from opt_ml_autogluon.timeseries.settings import Settings

# Models that need weights: what AutoGluon calls them on the model hub where it is not said.
_DEFAULTS = {
    "Chronos": "autogluon/chronos-bolt-small",
    "Chronos2": "autogluon/chronos-2",
    "Toto": "Datadog/Toto-Open-Base-1.0",
    "Toto2": "Datadog/Toto-2.0-22m",
}
_ALIASES = {**MODEL_ALIASES, **Toto2Model.model_path_aliases}


def choose_models(settings: Settings, weights: Weights) -> dict[str, Any]:
    """The models to fit, with their hyperparameters.

    Those of a set that need weights which are not here are left out, and the log says so; one that the job
    names itself is an error. What excluded_model_types names is left out of both.

    Raises:
        UserError: weights that are not here, or no model is left.
    """
    asked = settings["hyperparameters"]
    preset = get_predictor_presets()[settings.preset]["hyperparameters"]
    found = asked if asked is not None else preset
    is_set = isinstance(found, str)
    models = get_hyperparameter_presets()[found] if is_set else found
    excluded = {name.removesuffix("Model") for name in settings["excluded_model_types"] or ()}
    chosen: dict[str, Any] = {}
    left_out = []
    for name, variants in models.items():
        if name.removesuffix("Model") in excluded:
            continue
        kept = []
        for variant in variants if isinstance(variants, list) else [variants]:
            needed = _needed(name, variant)
            if needed is None or needed in weights:
                kept.append(variant)
            elif is_set:
                left_out.append(needed)
            else:
                raise weights.missing(needed, f"The model {name}")
        if kept:
            chosen[name] = kept
    if left_out:
        print(
            f"The weights of {', '.join(dict.fromkeys(left_out))} are not in a channel pretrained: the "
            "models that need them are left out.",
            flush=True,
        )
    if not chosen:
        raise UserError("No model is left to fit. Name others by the hyperparameter hyperparameters.")
    return chosen


def start_processes(chosen: Mapping[str, Any]) -> None:
    """Start the processes that statistical models predict in, where one of `chosen` is such.

    Joblib keeps them for all fits. To start them, with AutoGluon's imports in each, takes seconds, in which a
    short `time_limit` would be over.
    """
    if any(
        issubclass(ModelRegistry.get_model_class(name), AbstractLocalModel)
        and any("n_jobs" not in variant for variant in variants)
        for name, variants in chosen.items()
    ):
        load = delayed(importlib.import_module)
        Parallel(n_jobs=AG_DEFAULT_N_JOBS)(load(local.__name__) for _ in range(AG_DEFAULT_N_JOBS))


def _needed(name: str, variant: Mapping[str, Any]) -> str | None:
    """The name on the model hub of the weights that a model begins with."""
    kind = name.removesuffix("Model")
    if kind not in _DEFAULTS:
        return None
    path = str(variant.get("model_path", _DEFAULTS[kind]))
    return str(_ALIASES.get(path, path))


def weights_of(predictor: TimeSeriesPredictor) -> list[str]:
    """The weights that the models of a predictor read each time they are loaded, by name."""
    found = []
    for name in predictor.model_names():
        model = predictor._trainer.load_model(name)
        inner = getattr(model, "most_recent_model", None) or model
        needed = (
            _needed(type(inner).__name__, inner.get_hyperparameters()) if hasattr(inner, "freq") else None
        )
        if needed is not None:
            found.append(needed)
    return found
