"""`train`: one training job, from /opt/ml/input to /opt/ml/model.

The user's program where the job names one (script mode), otherwise the image's built-in algorithm. Exit code
0 and no failure file when the job is done (TRAIN-76); otherwise the program's exit code or 1, the cause and
the cure in the first line of the failure file and on standard error (TRAIN-75, TRAIN-77). Runs as PID 1 and
hands on SIGTERM (TRAIN-04).
"""

from __future__ import annotations

import os
import signal
import sys


def main() -> int:
    """Run the job; the console script `train`. Returns the exit code."""
    # Before anything that takes time: the kernel drops a signal for which PID 1 has no handler.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    # Each line leaves at once: a tuning job reads metrics from it, and a kill loses nothing (TRAIN-79).
    # A file name need not be UTF-8, and a line that cannot be written must not end the job.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    from opt_ml.environment import base_dir
    from opt_ml.training.failure import explain

    try:
        return _run()
    except SystemExit:  # `_end`
        raise
    except BaseException as error:
        return explain(error, base_dir() / "output" / "failure")


def _run() -> int:
    from opt_ml.environment import read_environment
    from opt_ml.errors import UserError
    from opt_ml.training.script.program import MODULE_VARIABLE, chosen_program

    engine = os.environ.get("OPT_ML_TRAINING_ENGINE") or "native"
    if engine not in ("native", "sagemaker-training"):
        raise UserError(f"OPT_ML_TRAINING_ENGINE={engine} is neither native nor sagemaker-training.")
    if engine == "sagemaker-training":
        from opt_ml.training.script.run import run_toolkit

        run_toolkit()
    environment = read_environment()
    for name in ("failure", "success"):  # of an earlier run on the same directory (TRAIN-75)
        (environment.failure_file.parent / name).unlink(missing_ok=True)
    if chosen_program(environment) is not None or os.environ.get(MODULE_VARIABLE):
        from opt_ml.training.script import run

        return run.run(environment)
    from opt_ml.training import built_in

    return built_in.run(environment)


def _end(signum: int, frame: object) -> None:
    """Nothing has been started yet that would need to end first."""
    # Not print: a stream that is in the middle of a line refuses to be entered again.
    os.write(2, b"Stopped before the job began.\n")
    sys.exit(128 + signum)


if __name__ == "__main__":
    sys.exit(main())
