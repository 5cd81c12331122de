"""`train`: one training job, from /opt/ml/input to /opt/ml/model.

Exit code 0 and no failure file when the model is complete (TRAIN-76); otherwise 1, the cause and the
cure in the first line of the failure file and on standard error (TRAIN-75, TRAIN-77). Runs as PID 1 and
ends on SIGTERM (TRAIN-04).
"""

from __future__ import annotations

import sys

from opt_ml.environment import base_dir, read_environment
from opt_ml.training import built_in
from opt_ml.training.failure import explain


def main() -> int:
    """Run the job; the console script `train`. Returns the exit code."""
    # Each line leaves at once: a tuning job reads metrics from it, and a kill loses nothing (TRAIN-79).
    # A file name need not be UTF-8, and a line that cannot be written must not end the job.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    try:
        environment = read_environment()
    except BaseException as error:
        return explain(error, base_dir() / "output" / "failure")
    return built_in.run(environment)


if __name__ == "__main__":
    sys.exit(main())
