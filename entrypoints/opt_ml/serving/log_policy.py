"""Which requests have a line in the log, by the environment."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from opt_ml.errors import UserError

Which = Literal["budget", "all", "errors", "off"]


@dataclass(frozen=True)
class LogPolicy:
    """What is logged.

    Attributes:
        which: `budget` as `serving.access_log` says, `all` requests, `errors` (400 and more, by their
            budget), or `off`.
        level: of `logging`; requests below it have no line: 200 is info, 400 a warning, 500 an error.
    """

    which: Which = "budget"
    level: int = logging.INFO

    def least_status(self) -> int:
        """The lowest status that has lines."""
        if self.which == "off" or self.level > logging.ERROR:
            return 1000
        by_level = 0 if self.level <= logging.INFO else 400 if self.level <= logging.WARNING else 500
        return max(by_level, 400) if self.which == "errors" else by_level


def read_log_policy(environment: Mapping[str, str]) -> LogPolicy:
    """OPT_ML_ACCESS_LOG and SAGEMAKER_CONTAINER_LOG_LEVEL, a name or a number (AG-09, MHCS-06).

    Raises:
        UserError: another word, by the variable's name.
    """
    word = environment.get("OPT_ML_ACCESS_LOG", "").strip().lower() or "budget"
    for which in get_args(Which):
        if word == which:
            return LogPolicy(which, _level(environment.get("SAGEMAKER_CONTAINER_LOG_LEVEL", "")))
    raise UserError(f"OPT_ML_ACCESS_LOG={word!r} must be one of {', '.join(get_args(Which))}.")


def _level(text: str) -> int:
    word = text.strip().upper()
    if not word:
        return logging.INFO
    if word.isascii() and word.isdigit():
        return int(word[:9])
    level = logging.getLevelNamesMapping().get(word)
    if level is None:
        raise UserError(
            f"SAGEMAKER_CONTAINER_LOG_LEVEL={text!r} must be a number or one of DEBUG, INFO, WARNING, ERROR, "
            "CRITICAL."
        )
    return level
