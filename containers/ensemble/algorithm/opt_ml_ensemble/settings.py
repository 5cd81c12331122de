"""The job's hyperparameters, read against the table: typed values, or one line that says what is wrong."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from opt_ml.environment import decode_hyperparameter
from opt_ml.errors import UserError

from opt_ml_ensemble.hyperparameters import DEFAULT_MODELS, OBJECTIVES, TABLE, Hyperparameter


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
    rows = {name: row for row in TABLE for name in (row.name, *row.aliases)}
    given: dict[str, Any] = {}
    for name, value in raw.items():
        row = rows.get(name)
        if row is None:
            raise UserError(
                f"Unknown hyperparameter {name!r}.{nearest(name, rows)} The image's README lists them all."
            )
        if row.name in given:
            names = " and ".join(sorted(alias for alias in raw if rows.get(alias) is row))
            raise UserError(f"The hyperparameters {names} mean the same. Give one of them.")
        if row.kind == "text":
            value = _text(value if texts is None else texts.get(name, value))
        given[row.name] = parse(row, value, name)
    models: Collection[str] = given.get("models", DEFAULT_MODELS)
    return Settings({row.name: _value(row, given, models) for row in TABLE}, frozenset(given))


def _text(value: Any) -> Any:
    """A text without the quotes that SDK v2 puts around it; other JSON stays: a column may be named so."""
    if isinstance(value, str) and value.strip().startswith('"'):
        decoded = decode_hyperparameter(value)
        return decoded if isinstance(decoded, str) else value
    return value


def _value(row: Hyperparameter, given: Mapping[str, Any], models: Collection[str]) -> Any:
    if row.name in given:
        return given[row.name]
    # A model that is not trained must not refuse what is meant for the others.
    if row.follows is None or row.follows not in given or row.name.partition(".")[0] not in models:
        return row.default
    return parse(row, given[row.follows], f"{row.follows} (as {row.name})")


def nearest(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'eta'?`, or nothing when no known name is near."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return f" Did you mean {by_lower[found[0]]!r}?" if found else ""


def parse(row: Hyperparameter, value: Any, name: str) -> Any:
    """One value of the kind and range that its row of the table asks for.

    Args:
        row: the row of the table.
        value: a string or a JSON value.
        name: what the user called it, for the error.

    Raises:
        UserError: the value does not fit, with what would.
    """
    if row.kind == "list":
        items = value if isinstance(value, list) else str(value).replace(",", " ").split()
        chosen = tuple(dict.fromkeys(_choice(row, item, name) for item in items))
        if not chosen:
            raise UserError(f"Hyperparameter {name} is an empty list. Name some of: {row.allowed}.")
        return chosen
    if row.kind == "choice":
        return _choice(row, value, name)
    if row.kind == "text":
        return str(value).strip() or None
    return _number(row, value, name)


def _choice(row: Hyperparameter, value: Any, name: str) -> str:
    text = str(value).strip().lower()
    if text not in row.choices:
        hint = nearest(text, row.choices)
        raise UserError(f"Hyperparameter {name} is {value!r}.{hint} It must be one of: {row.allowed}.")
    return text


def _number(row: Hyperparameter, value: Any, name: str) -> int | float:
    noun = "a whole number" if row.kind == "integer" else "a number"
    try:
        if isinstance(value, bool):
            raise ValueError
        number = float(value)
    except (TypeError, ValueError):
        raise UserError(f"Hyperparameter {name} must be {noun}, but is {value!r}.") from None
    if not math.isfinite(number) or (row.kind == "integer" and number != int(number)):
        raise UserError(f"Hyperparameter {name} must be {noun}, but is {value!r}.")
    low, high = row.low, row.high
    if (low is not None and (number < low or (row.above and number == low))) or (
        high is not None and number > high
    ):
        raise UserError(f"Hyperparameter {name} is {value}, out of its range. It must be {row.allowed}.")
    return int(number) if row.kind == "integer" else number
