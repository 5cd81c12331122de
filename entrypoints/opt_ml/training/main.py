"""`train`: run the image's built-in algorithm on the job that lies under /opt/ml.

Exit code 0 and no failure file when the model is complete (TRAIN-76); otherwise 1, the cause and the
cure in the first line of the failure file and on standard error (TRAIN-75, TRAIN-77). Runs as PID 1 and
ends on SIGTERM (TRAIN-04).
"""

from __future__ import annotations

import signal
import sys
import traceback
from pathlib import Path
from types import FrameType

from opt_ml.algorithm import find_built_in
from opt_ml.environment import base_dir, read_environment
from opt_ml.errors import UserError

STOPPED = 143  # 128 + SIGTERM, what a process that does not catch the signal would show


class Stopped(BaseException):
    """SIGTERM arrived: StopTrainingJob, a time limit, or a spot interruption (TRAIN-94).

    Attributes:
        arrived: True from then on, also where a library turned the exception into one of its own, as
            CatBoost does with KeyboardInterrupt.
    """

    arrived = False


def main() -> int:
    """Run the job; the console script `train`. Returns the exit code."""
    # Each line leaves at once: a tuning job reads metrics from it, and a kill loses nothing (TRAIN-79).
    # A file name need not be UTF-8, and a line that cannot be written must not end the job.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    for number in (signal.SIGTERM, signal.SIGINT):  # the second is Ctrl-C at a `docker run` by hand
        signal.signal(number, _raise_stopped)
    failure_file = base_dir() / "output" / "failure"
    try:
        environment = read_environment()
        failure_file = environment.failure_file
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
        return _explain(error, failure_file)
    return 0


def _explain(error: BaseException, failure_file: Path) -> int:
    """Write the failure file for what ended the job; the exit code."""
    if isinstance(error, UserError):
        return _fail(failure_file, str(error))
    if isinstance(error, MemoryError):
        return _fail(failure_file, "Out of memory. Use an instance with more memory, or less data.")
    if isinstance(error, SystemExit) and not error.code:
        return 0
    details = "".join(traceback.format_exception(error))
    return _fail(failure_file, f"{type(error).__name__}: {error}", details)


def _raise_stopped(signum: int, frame: FrameType | None) -> None:
    Stopped.arrived = True
    raise Stopped


def _fail(failure_file: Path, cause: str, details: str = "") -> int:
    text = f"{cause}\n\n{details}".rstrip() + "\n"
    print(text, end="", file=sys.stderr)
    try:
        failure_file.parent.mkdir(parents=True, exist_ok=True)
        failure_file.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        print(f"{failure_file} could not be written: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
