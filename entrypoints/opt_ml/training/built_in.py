"""The image's built-in algorithm as a training job."""

from __future__ import annotations

import sys

from opt_ml.algorithm import find_built_in
from opt_ml.environment import Environment
from opt_ml.errors import UserError
from opt_ml.training import stopping
from opt_ml.training.failure import explain


def run(environment: Environment) -> int:
    """Run the built-in algorithm in this process; the exit code.

    A job that was stopped before its model was whole ends with 143 and no failure file, whatever the
    algorithm could save (TRAIN-95): SageMaker calls it Stopped in any case, and a pipeline of shell
    commands must not take it for completed. A signal that comes too late to change the model changes
    nothing: 0.
    """
    stopping.install()
    try:
        train = find_built_in("opt_ml.train")
        if train is None:
            raise UserError(
                "This image has no built-in algorithm. Install a package with an `opt_ml.train` entry point."
            )
        train(environment)
    except BaseException as error:
        if stopping.requested():
            return _stopped(environment, error)
        return explain(error, environment.failure_file)
    finally:
        stopping.finish()
    return 0


def _stopped(environment: Environment, error: BaseException) -> int:
    # A library may have turned the exception into one of its own, as CatBoost does with KeyboardInterrupt.
    if isinstance(error, Exception):
        print(f"While stopping: {type(error).__name__}: {error}", file=sys.stderr)
    left = environment.model_dir.is_dir() and any(environment.model_dir.iterdir())
    what = "with what was complete in" if left else "before a model was complete: nothing is in"
    print(f"Stopped {what} {environment.model_dir}.", file=sys.stderr)
    return stopping.STOPPED
