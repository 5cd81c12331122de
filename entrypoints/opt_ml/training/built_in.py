"""The image's built-in algorithm as a training job."""

from __future__ import annotations

import signal
import sys
from types import FrameType

from opt_ml.algorithm import find_built_in
from opt_ml.environment import Environment
from opt_ml.errors import UserError
from opt_ml.training.failure import explain

STOPPED = 143  # 128 + SIGTERM, what a process that does not catch the signal would show


class Stopped(BaseException):
    """SIGTERM arrived: StopTrainingJob, a time limit, or a spot interruption (TRAIN-94).

    Attributes:
        arrived: True from then on, also where a library turned the exception into one of its own, as
            CatBoost does with KeyboardInterrupt.
    """

    arrived = False


def run(environment: Environment) -> int:
    """Run the built-in algorithm in this process; the exit code."""
    for number in (signal.SIGTERM, signal.SIGINT):  # the second is Ctrl-C at a `docker run` by hand
        signal.signal(number, _raise_stopped)
    try:
        train = find_built_in("opt_ml.train")
        if train is None:
            raise UserError(
                "This image has no built-in algorithm. Install a package with an `opt_ml.train` entry point."
            )
        train(environment)
    except BaseException as error:
        if Stopped.arrived:
            print("Stopped before a model was complete.", file=sys.stderr)
            return STOPPED
        return explain(error, environment.failure_file)
    return 0


def _raise_stopped(signum: int, frame: FrameType | None) -> None:
    Stopped.arrived = True
    raise Stopped
