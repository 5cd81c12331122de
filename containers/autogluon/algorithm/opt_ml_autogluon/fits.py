"""What the fits of all tasks have in common: what comes out of them, and a refusal in one line."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from opt_ml.errors import UserError
from opt_ml.training import stopping

Predictor = TypeVar("Predictor")
LONGEST_CAUSE = 600  # characters: a failure file shows its first 1024 (TRAIN-79)


@dataclass(frozen=True)
class Fitted(Generic[Predictor]):
    """A predictor with at least one model.

    Attributes:
        predictor: in its own directory, with everything that AutoGluon keeps.
        is_whole: False where the job was stopped before all was fitted.
        seconds: that the fit took, those before an interruption included.
    """

    predictor: Predictor
    is_whole: bool
    seconds: float


@contextmanager
def refusals(*further: type[Exception]) -> Iterator[None]:
    """AutoGluon's complaint about an argument or the data is the user's to see, in one line.

    Args:
        further: what a predictor raises for them beside ValueError, AssertionError and TypeError.

    Raises:
        UserError: in the place of those.
        Stopped: the job was stopped, which explains them.
    """
    complaints: tuple[type[Exception], ...] = (ValueError, AssertionError, TypeError, *further)
    try:
        yield
    except complaints as error:
        stopping.check()
        raise refusal(error) from None


def refusal(error: Exception) -> UserError:
    """The error for a complaint of AutoGluon, of which the log gets all."""
    traceback.print_exc()
    return UserError(f"AutoGluon refuses this job: {first_line(error)}")


def no_model(time_limit: float | None, causes: Iterable[str] = ()) -> UserError:
    """The error for a fit that nothing came out of.

    Args:
        time_limit: seconds that the job gave, where more of them may help.
        causes: what the models failed with.
    """
    cure = f"Give it more than time_limit {time_limit:g} s." if time_limit else "See the job's log."
    return UserError(f"AutoGluon could fit no model. {cure} {'; '.join(dict.fromkeys(causes))}".strip())


def first_line(cause: object) -> str:
    """The first line of an error that says something."""
    lines = (line.strip() for line in str(cause).splitlines())
    return next((line for line in lines if line), "no cause given")[:LONGEST_CAUSE]
