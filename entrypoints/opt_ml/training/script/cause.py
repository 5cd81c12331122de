"""Why a program failed, in one line, from the end of its standard error (TRAIN-77, TT-66)."""

from __future__ import annotations

import re
import signal

from opt_ml import pip
from opt_ml.training.script.process import Ended

_KILLED = 128 + signal.SIGKILL
_RANK = re.compile(r"^\[rank\d+\]:\s?")  # PyTorch puts it before each line of a rank's traceback
_EXCEPTION = re.compile(r"([A-Za-z_]\w*\.)*[A-Za-z_]\w*(Error|Exception|Interrupt|Exit|Warning|Fault)\b(:|$)")
_ANY_EXCEPTION = re.compile(r"([A-Za-z_]\w*\.)*[A-Za-z_]\w*(:|$)")
# argparse, with exit code 2: `train.py: error: unrecognized arguments: --epochs 3`.
_USAGE = re.compile(r"\S.*: error: .")
_USAGE_CODE = 2
# torchrun's own: it says only that a rank failed, and that rank has said why.
_MESSENGERS = ("torch.distributed.elastic.multiprocessing.errors.ChildFailedError",)


def describe(program: str, ended: Ended) -> str:
    """The cause of a failure: the program's last exception, or how it ended and the last it said.

    Args:
        program: what the user calls it, such as `train.py`.
        ended: with an exit code other than 0.
    """
    lines = readable_lines(ended.stderr)
    if ended.exit_code == _KILLED:  # TT-63
        said = last_exception(lines)
        return (
            f"{program} was killed (exit code 137): out of memory, most likely. "
            "Use an instance with more memory, or less data." + (f" Before that: {said}" if said else "")
        )
    said = next((line.strip() for line in reversed(lines) if line.strip()), "")
    # A traceback above it was only logged: the program went on after it.
    refused = ended.exit_code == _USAGE_CODE and _USAGE.match(said)
    exception = "" if refused else last_exception(lines)
    if exception:
        return exception
    how = f"{program} ended with exit code {ended.exit_code}{_signal_name(ended.exit_code)}"
    return f"{how}: {said}" if said else f"{how} and wrote nothing to standard error."


def readable_lines(stderr: bytes) -> list[str]:
    """The lines as a terminal would show them: no colours, and of a progress bar its last state."""
    return [_RANK.sub("", line) for line in pip.readable_lines(stderr)]


def last_exception(lines: list[str]) -> str:
    """The line `ValueError: text` of the last traceback that is no mere messenger; "" without one."""
    starts = [
        number for number, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")
    ]
    for start in reversed(starts):
        told = next((line for line in lines[start + 1 :] if _ANY_EXCEPTION.match(line)), "")
        if told and not told.startswith(_MESSENGERS):
            return told.strip()
    # A syntax error of the program itself comes without the word "Traceback".
    unframed = [line for line in lines if _EXCEPTION.match(line) and not line.startswith(_MESSENGERS)]
    return unframed[-1].strip() if unframed else ""


def _signal_name(exit_code: int) -> str:
    try:
        return f" ({signal.Signals(exit_code - 128).name})" if exit_code > 128 else ""
    except ValueError:
        return ""
