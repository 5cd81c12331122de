"""The job's hyperparameters as arguments of AutoGluon, or one line that says what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from opt_ml.errors import UserError
from opt_ml.nearest import nearest
from opt_ml.training.settings import TableSettings

from opt_ml_autogluon.tabular.hyperparameters import CONFIGURATIONS, MODEL_TYPES, PRESET_ALIASES, TABLE

# Arguments of `TabularPredictor.fit` that are hyperparameters under the same name.
_FIT_ARGUMENTS = (
    "time_limit",
    "hyperparameters",
    "num_bag_folds",
    "num_bag_sets",
    "num_stack_levels",
    "auto_stack",
    "dynamic_stacking",
    "holdout_frac",
    "use_bag_holdout",
    "refit_full",
    "set_best_to_refit_full",
    "calibrate",
    "infer_limit",
    "infer_limit_batch_size",
    "num_cpus",
)
# Models of AutoGluon's named sets whose library the image leaves out, by its name.
_LIBRARIES = {"FASTAI": "fastai"}


class Settings(TableSettings):
    """The values of a job, every default filled in; None where AutoGluon decides."""

    table = TABLE

    @property
    def fit_arguments(self) -> dict[str, Any]:
        """Arguments of `TabularPredictor.fit`; what is not given is not there, so that presets can say it."""
        given = {name: self[name] for name in _FIT_ARGUMENTS if self[name] is not None}
        truths = {"true": True, "false": False}
        for name in ("refit_full", "calibrate"):
            if name in given:
                given[name] = truths.get(given[name], given[name])
        given["presets"] = [PRESET_ALIASES.get(name, name) for name in self["presets"]]
        if self["included_model_types"]:
            given["included_model_types"] = list(self["included_model_types"])
        given["excluded_model_types"] = [*(self["excluded_model_types"] or ()), *_missing_models()]
        return given

    @classmethod
    def completed(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """As with every table; models and quantiles that AutoGluon would not take are refused."""
        values = super().completed(given)
        _check_models(values["hyperparameters"])
        _check_quantiles(values)
        return values


def _check_models(models: Any) -> None:
    if models is None:
        return
    if isinstance(models, str):
        if models not in CONFIGURATIONS:
            raise UserError(
                f"Hyperparameter hyperparameters is {models!r}.{nearest(models, CONFIGURATIONS)} It must be "
                f"a JSON object of models, or one of: {', '.join(CONFIGURATIONS)}."
            )
        return
    if not isinstance(models, dict) or not models:
        raise UserError(
            f"Hyperparameter hyperparameters must be a JSON object of models, such as "
            f'{{"GBM": {{}}, "CAT": {{"iterations": 200}}}}, but is {str(models)[:100]}.'
        )
    for name, variants in models.items():
        if name not in MODEL_TYPES:
            raise UserError(
                f"Hyperparameter hyperparameters names a model {name!r}.{nearest(name, MODEL_TYPES)} "
                f"The models of this image are: {', '.join(MODEL_TYPES)}."
            )
        for variant in variants if isinstance(variants, list) else [variants]:
            if not isinstance(variant, dict):
                raise UserError(
                    f"Hyperparameter hyperparameters gives {name} the value {str(variant)[:60]!r}; a model's "
                    "own hyperparameters are a JSON object, or a list of objects, {} for the defaults."
                )


def _check_quantiles(values: Mapping[str, Any]) -> None:
    levels, problem_type = values["quantile_levels"], values["problem_type"]
    if levels is None:
        return
    if problem_type != "quantile":
        raise UserError(f"quantile_levels needs problem_type quantile, but that is {problem_type}.")
    numbers = levels if isinstance(levels, list) else [levels]
    if not numbers or not all(isinstance(n, int | float) and 0 < n < 1 for n in numbers):
        raise UserError(f"quantile_levels must be a list of numbers between 0 and 1, but is {levels!r}.")


def _missing_models() -> list[str]:
    return [model for model, library in _LIBRARIES.items() if find_spec(library) is None]
