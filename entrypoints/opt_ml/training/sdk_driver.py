"""The failure file of a script that the SageMaker SDK 3 starts by drivers of its own, past `train`.

The SDK's driver fills /opt/ml/output/failure with its own traceback, of which the user learns an exit code
and nothing else (V3-32); a file that is there already it keeps. `opt_ml.pth` calls `install` at the start of
each Python of the image, so that the exception that ended the script stands there first (V3-33). Nothing else
of a job is touched: not a script's own hook, not its output, not a process that it starts and whose failure
it may handle.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType

OPT_ML = Path("/opt/ml")  # the drivers know no other
DRIVERS = b"/sm_drivers/"  # the channel of the SDK that holds them (V3-10)
RANK_VARIABLE = "TORCHELASTIC_RUN_ID"  # torchrun sets it for what it starts


def install() -> None:
    """Have an uncaught exception reported, where this process was started by a driver of the SDK.

    Also where torchrun is between the two: it knows only that a rank has failed, and the rank knows why.
    """
    parent = os.getppid()
    if is_driver(_command_line(parent)) or (
        RANK_VARIABLE in os.environ and is_driver(_command_line(_parent_of(parent)))
    ):
        sys.excepthook = report


def is_driver(command_line: bytes) -> bool:
    """True for the process of a driver: a failure of what it starts is the failure of the job."""
    return DRIVERS in command_line


def report(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None, opt_ml: Path = OPT_ML
) -> None:
    """An `excepthook`: write the failure file, unless the script has written it, and print the traceback."""
    sys.__excepthook__(kind, error, trace)
    failure_file = opt_ml / "output" / "failure"
    if failure_file.exists() or not failure_file.parent.is_dir():
        return
    # Imported here: an image's every Python passes `install`, and hardly one comes to this.
    import traceback

    from opt_ml.training.failure import write_failure

    cause = "".join(traceback.format_exception_only(kind, error)).strip()
    write_failure(failure_file, cause, "".join(traceback.format_exception(kind, error, trace)))


def _parent_of(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _command_line(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:  # it has ended, or belongs to a container that shows no other processes
        return b""
