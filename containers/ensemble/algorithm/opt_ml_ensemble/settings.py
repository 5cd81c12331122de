"""The job's hyperparameters, read against the table: typed values, or one line that says what is wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from opt_ml.training.hyperparameters import Hyperparameter, parse
from opt_ml.training.settings import TableSettings

from opt_ml_ensemble.hyperparameters import DEFAULT_MODELS, OBJECTIVES, TABLE


class Settings(TableSettings):
    """The values of a job, every default filled in; None where the row of the table has no default."""

    table = TABLE

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

    @classmethod
    def completed(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """As with every table; a row that follows another takes the value of that one."""
        models: Collection[str] = given.get("models", DEFAULT_MODELS)
        return {row.name: _value(row, given, models) for row in cls.table}


def _value(row: Hyperparameter, given: Mapping[str, Any], models: Collection[str]) -> Any:
    if row.name in given:
        return given[row.name]
    # A model that is not trained must not refuse what is meant for the others.
    if row.follows is None or row.follows not in given or row.name.partition(".")[0] not in models:
        return row.default
    return parse(row, given[row.follows], f"{row.follows} (as {row.name})")
