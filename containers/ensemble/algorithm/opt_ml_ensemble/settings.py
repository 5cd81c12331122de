"""The job's hyperparameters, read against the table: typed values, or one line that says what is wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from opt_ml.training.hyperparameters import Hyperparameter, parse, read_given

from opt_ml_ensemble.hyperparameters import DEFAULT_MODELS, OBJECTIVES, TABLE


@dataclass(frozen=True)
class Settings:
    """The values of a job, every default filled in.

    Attributes:
        values: name to value for every row of the table; None where the row has no default.
        given: the names (aliases resolved) that the job itself set.
    """

    values: Mapping[str, Any]
    given: frozenset[str]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    @property
    def task(self) -> str | None:
        """`regression`, `binary` or `multiclass`; None when the label decides."""
        return OBJECTIVES[self["objective"]]

    def of_model(self, model: str) -> dict[str, Any]:
        """The parameters of one model, its prefix taken off."""
        prefix = f"{model}."
        return {
            name.removeprefix(prefix): value for name, value in self.values.items() if name.startswith(prefix)
        }


def read_settings(raw: Mapping[str, Any], texts: Mapping[str, Any] | None = None) -> Settings:
    """Type, check and complete the hyperparameters of a job.

    Args:
        raw: name to value, as strings or JSON-decoded (TRAIN-30 to TRAIN-32).
        texts: the same as they came, for rows of kind `text`; by default those of `raw`.

    Raises:
        UserError: an unknown name (with the nearest known), a value of the wrong type or out of range,
            or one thing said twice under two names.
    """
    given = read_given(TABLE, raw, texts)
    models: Collection[str] = given.get("models", DEFAULT_MODELS)
    return Settings({row.name: _value(row, given, models) for row in TABLE}, frozenset(given))


def _value(row: Hyperparameter, given: Mapping[str, Any], models: Collection[str]) -> Any:
    if row.name in given:
        return given[row.name]
    # A model that is not trained must not refuse what is meant for the others.
    if row.follows is None or row.follows not in given or row.name.partition(".")[0] not in models:
        return row.default
    return parse(row, given[row.follows], f"{row.follows} (as {row.name})")
