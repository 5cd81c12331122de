"""Ranges that a tuning job searches: how a person writes them, and what the API allows. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from toolkit.errors import ToolkitError

Kind = Literal["Continuous", "Integer", "Categorical"]
Scaling = Literal["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"]

EXAMPLES = "For example: --range depth=4:10, --range learning_rate=0.01:0.3:log, --range booster=gbtree,dart"
MOST_VALUES = 30
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_MISTYPED = re.compile(rf"({_NUMBER})(?:-|\.\.+|;|/)({_NUMBER})")
WIDE = 1000.0  # Auto is logarithmic where the highest value is so many times the lowest
_SCALINGS: Mapping[str, Scaling] = {
    "auto": "Auto",
    "linear": "Linear",
    "log": "Logarithmic",
    "logarithmic": "Logarithmic",
    "reverse-log": "ReverseLogarithmic",
    "reverselogarithmic": "ReverseLogarithmic",
}


@dataclass(frozen=True)
class Range:
    """Values that one hyperparameter may take.

    Attributes:
        low: inclusive; of a continuous or integer range.
        high: inclusive.
        scaling: how values are spread between the two.
        values: of a categorical range.
    """

    name: str
    kind: Kind
    low: float = 0.0
    high: float = 0.0
    scaling: Scaling = "Auto"
    values: tuple[str, ...] = ()

    @property
    def spread(self) -> Scaling:
        """The scaling, with `Auto` decided: logarithmic over three powers of ten and more."""
        if self.scaling != "Auto":
            return self.scaling
        return "Logarithmic" if self.low > 0 and self.high / self.low >= WIDE else "Linear"

    @property
    def size(self) -> float:
        """How many different values there are."""
        if self.kind == "Continuous":
            return math.inf if self.high > self.low else 1
        return len(self.values) if self.kind == "Categorical" else self.high - self.low + 1

    def describe(self) -> str:
        """`4 to 10`, `0.01 to 0.3, logarithmic`, `gbtree, dart`."""
        if self.kind == "Categorical":
            return ", ".join(self.values)
        spread = {"Logarithmic": ", logarithmic", "ReverseLogarithmic": ", reverse logarithmic"}
        kind = ", whole numbers" if self.kind == "Integer" else ""
        return f"{self.low:g} to {self.high:g}{kind}{spread.get(self.spread, '')}"


def parse_range(text: str) -> Range:
    """`depth=4:10`, `learning_rate=0.01:0.3:log` or `booster=gbtree,dart` -> a range.

    Two whole numbers make an integer range; write `4.0:10` for a continuous one.

    Raises:
        ToolkitError: anything else, or bounds that the API would refuse.
    """
    name, _, value = text.partition("=")
    if not (name and value):
        raise ToolkitError(f"--range {text}: this is not NAME=LOW:HIGH or NAME=VALUE,VALUE.", EXAMPLES)
    if mistyped := _MISTYPED.fullmatch(value):
        raise ToolkitError(
            f"--range {text}: a colon stands between two bounds.",
            f"--range {name}={mistyped[1]}:{mistyped[2]}",
        )
    if ":" not in value or "," in value:
        return Range(name, "Categorical", values=tuple(value.split(",")))
    low, high, *rest = value.split(":")
    scaling = _SCALINGS.get(rest[0].lower()) if len(rest) == 1 else None if rest else "Auto"
    if scaling is None:
        raise ToolkitError(
            f"--range {text}: {':'.join(rest)!r} is no scaling.",
            "Known are linear, log, reverse-log and auto.",
        )
    try:
        bounds = float(low), float(high)
    except ValueError:
        raise ToolkitError(f"--range {text}: the bounds are not numbers.", EXAMPLES) from None
    whole = all(re.fullmatch(r"[-+]?\d+", bound) for bound in (low, high))
    return Range(name, "Integer" if whole else "Continuous", *bounds, scaling)


def problems(one: Range) -> Iterator[str]:
    """What the API would refuse of a range, one sentence each."""
    if one.kind == "Categorical":
        if not 1 <= len(one.values) <= MOST_VALUES or len(set(one.values)) < len(one.values):
            yield f"1 to {MOST_VALUES} different values are allowed."
        if any(len(value) > 256 for value in one.values):
            yield "a value has at most 256 characters."
        return
    if not (math.isfinite(one.low) and math.isfinite(one.high) and one.low <= one.high):
        yield f"{one.low:g} is not below {one.high:g}."
    if one.scaling == "Logarithmic" and one.low <= 0:
        yield "a logarithmic range begins above 0."
    if one.scaling == "ReverseLogarithmic" and (one.kind == "Integer" or not 0 <= one.low <= one.high < 1):
        yield "a reverse logarithmic range is continuous and lies in 0 <= x < 1."
