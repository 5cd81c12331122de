"""The job's hyperparameters as arguments of AutoGluon, or one line that says what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opt_ml.errors import UserError
from opt_ml.nearest import nearest
from opt_ml.training.settings import TableSettings

from opt_ml_autogluon.timeseries.hyperparameters import CONFIGURATIONS, MODEL_TYPES, PRESET_ALIASES, TABLE


class Settings(TableSettings):
    """The values of a job, every default filled in; None where AutoGluon or the data decide."""

    table = TABLE

    @property
    def preset(self) -> str:
        """The preset by AutoGluon's own name."""
        return PRESET_ALIASES.get(self["presets"], str(self["presets"]))

    @classmethod
    def completed(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """As with every table; names and levels as tuples, and models that AutoGluon lacks are refused."""
        values = super().completed(given)
        for name in ("known_covariates", "static_features"):
            values[name] = _names(name, values[name])
        values["quantile_levels"] = _levels(values["quantile_levels"])
        _check_models(values["hyperparameters"])
        return values


def _names(name: str, value: Any) -> tuple[str, ...]:
    """Column names from a list, or from a text with commas between."""
    if value is None:
        return ()
    items = value if isinstance(value, list) else str(value).split(",")
    if not all(isinstance(item, str | int) for item in items):
        raise UserError(f"Hyperparameter {name} must be a list of column names, but is {str(value)[:100]}.")
    return tuple(dict.fromkeys(text for item in items if (text := str(item).strip())))


def _levels(value: Any) -> tuple[float, ...]:
    if value is None:
        return tuple(step / 10 for step in range(1, 10))
    levels = value if isinstance(value, list) else [value]
    if not levels or not all(isinstance(level, int | float) and 0 < level < 1 for level in levels):
        raise UserError(f"quantile_levels must be a list of numbers between 0 and 1, but is {value!r}.")
    return tuple(sorted({float(level) for level in levels}))


def _check_models(models: Any) -> None:
    if models is None:
        return
    if isinstance(models, str) and models in CONFIGURATIONS:
        return
    if not isinstance(models, dict) or not models:
        raise UserError(
            f"Hyperparameter hyperparameters is {str(models)[:100]!r}. It must be a JSON object of models, "
            f'such as {{"ETS": {{}}, "DeepAR": {{}}}}, or one of: {", ".join(CONFIGURATIONS)}.'
        )
    for name in models:
        if name.removesuffix("Model") not in MODEL_TYPES:
            raise UserError(
                f"Hyperparameter hyperparameters names a model {name!r}.{nearest(name, MODEL_TYPES)} "
                f"The models of this image are: {', '.join(MODEL_TYPES)}."
            )
