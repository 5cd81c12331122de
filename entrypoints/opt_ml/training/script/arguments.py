"""Hyperparameters as arguments of the user's program (TT-30 to TT-35)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from opt_ml.errors import UserError

SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PRIVATE", "CREDS")  # TRAIN-27
MASK = "******"


def to_arguments(hyperparameters: Mapping[str, Any]) -> list[str]:
    """`--name value`, `-n value` for a name of one letter; sorted by name (TT-31)."""
    return [
        word for name in sorted(hyperparameters) for word in (_option(name), _as_text(hyperparameters[name]))
    ]


def masked(hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """The same with the values of secrets hidden, for the log and the failure file (TRAIN-27)."""
    return {name: MASK if is_secret(name) else value for name, value in hyperparameters.items()}


def is_secret(name: str) -> bool:
    """Whether a value of that name is not to be shown."""
    return any(word in name.upper() for word in SECRET_WORDS)


def check_arguments(hyperparameters: Mapping[str, Any]) -> None:
    """The kernel takes no zero byte in an argument, and no half of a UTF-16 pair has bytes.

    Raises:
        UserError: the hyperparameter that has one.
    """
    for name, value in hyperparameters.items():
        if not can_be_passed(_option(name) + _as_text(value)):
            raise UserError(
                f"Hyperparameter {name!r} holds a character that no program argument can hold. Remove it."
            )


def can_be_passed(text: str) -> bool:
    """Whether the kernel takes `text` as an argument or in an environment variable."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _option(name: str) -> str:
    return f"--{name}" if len(name) > 1 else f"-{name}" if name else ""


def _as_text(value: Any) -> str:
    """By `str`, so a list has spaces; nothing for None, `a=1,b=x` for an object (TT-32)."""
    if isinstance(value, dict):
        return ",".join(f"{key}={item}" for key, item in sorted(value.items()))
    return "" if value is None else str(value)
