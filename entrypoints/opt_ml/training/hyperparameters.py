"""A table of hyperparameters: it drives parsing, the error texts and the README.

An algorithm writes one row for each name that it knows, and gets typed values or one line that says what is
wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from opt_ml.environment import decode_hyperparameter
from opt_ml.errors import UserError
from opt_ml.nearest import nearest

Kind = Literal["integer", "number", "text", "choice", "list", "truth", "json"]


@dataclass(frozen=True)
class Hyperparameter:
    """One row of the table.

    Attributes:
        name: as in hyperparameters.json.
        kind: how the value is read: `truth` is true or false, `json` any JSON value; upper and lower case
            are the same in a `choice` and in the items of a `list`.
        default: None where the job decides (the meaning says how) or where the models differ.
        meaning: one line for people.
        low, high: the allowed range, both ends included unless `above` is set.
        above: `low` itself is not allowed.
        choices: the allowed texts of a choice, or of each item of a list.
        follows: the shared hyperparameter that is used when this one is not given.
        aliases: other names for the same thing.
    """

    name: str
    kind: Kind
    default: bool | int | float | str | tuple[str, ...] | None
    meaning: str
    low: float | None = None
    high: float | None = None
    above: bool = False
    choices: tuple[str, ...] = ()
    follows: str | None = None
    aliases: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """The range in words, such as `above 0, at most 1`; empty where anything goes."""
        if self.choices:
            return ", ".join(self.choices)
        low = "" if self.low is None else f"{'above' if self.above else 'at least'} {_plain(self.low)}"
        high = "" if self.high is None else f"at most {_plain(self.high)}"
        return ", ".join(part for part in (low, high) if part)


def _plain(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


def read_given(
    table: Iterable[Hyperparameter], raw: Mapping[str, Any], texts: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The hyperparameters that a job gives, by the names of the table and of the type that it says.

    Args:
        table: every name that is known.
        raw: name to value, as strings or JSON-decoded (TRAIN-30 to TRAIN-32).
        texts: the same as they came, for rows of kind `text`; by default those of `raw`.

    Raises:
        UserError: an unknown name (with the nearest known), a value of the wrong type or out of range,
            or one thing said twice under two names.
    """
    rows = {name: row for row in table for name in (row.name, *row.aliases)}
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
    return given


_KINDS = {"integer": "integer", "number": "number", "truth": "true or false", "json": "JSON"}


def markdown(table: Iterable[Hyperparameter]) -> str:
    """The table as it stands in the README, which a test compares with this."""
    lines = ["| Name | Default | Allowed | Meaning |", "|---|---|---|---|"]
    for row in table:
        default = ", ".join(row.default) if isinstance(row.default, tuple) else row.default
        if isinstance(default, bool):
            default = str(default).lower()
        meaning = row.meaning
        if row.follows:
            meaning = f"{meaning} Follows `{row.follows}`.".strip()
        if row.aliases:
            meaning = f"{meaning} Also: {', '.join(f'`{alias}`' for alias in row.aliases)}.".strip()
        kind = _KINDS.get(row.kind, "")
        allowed = ", ".join(part for part in (kind, row.allowed) if part) or "text"
        lines.append(f"| `{row.name}` | {'' if default is None else default} | {allowed} | {meaning} |")
    return "\n".join(lines) + "\n"


def _text(value: Any) -> Any:
    """A text without the quotes that SDK v2 puts around it; other JSON stays: a column may be named so."""
    if isinstance(value, str) and value.strip().startswith('"'):
        decoded = decode_hyperparameter(value)
        return decoded if isinstance(decoded, str) else value
    return value


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
    if row.kind == "truth":
        return _truth(value, name)
    return value if row.kind == "json" else _number(row, value, name)


def _truth(value: Any, name: str) -> bool:
    found = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(
        str(value).strip().lower()
    )
    if found is None:
        raise UserError(f"Hyperparameter {name} is {value!r}. It must be true or false.")
    return found


def _choice(row: Hyperparameter, value: Any, name: str) -> str:
    text = str(value).strip().lower()
    for choice in row.choices:
        if choice.lower() == text:
            return choice
    hint = nearest(text, row.choices)
    raise UserError(f"Hyperparameter {name} is {value!r}.{hint} It must be one of: {row.allowed}.")


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
