"""The failure file: its first 1024 characters are all that a user sees of a job that failed (TRAIN-75)."""

from __future__ import annotations

import sys
from pathlib import Path

from opt_ml.errors import UserError


def explain(error: BaseException, failure_file: Path) -> int:
    """Write the failure file for what ended the job; the exit code.

    The cause stands first and a traceback behind it (TRAIN-77); there is none for a user's mistake.
    """
    if isinstance(error, UserError):
        return fail(failure_file, str(error))
    if isinstance(error, MemoryError):
        return fail(failure_file, "Out of memory. Use an instance with more memory, or less data.")
    if isinstance(error, SystemExit) and not error.code:
        return 0
    import traceback  # only where there is one to show: it takes as long as the rest of the start

    details = "".join(traceback.format_exception(error))
    return fail(failure_file, f"{type(error).__name__}: {error}", details)


def fail(failure_file: Path, cause: str, details: str = "") -> int:
    """Write cause and details to the failure file and to standard error; returns 1."""
    print(write_failure(failure_file, cause, details), end="", file=sys.stderr)
    return 1


def write_failure(failure_file: Path, cause: str, details: str = "") -> str:
    """Write cause and details to the failure file only; the text that was to be written."""
    text = f"{cause}\n\n{details}".rstrip() + "\n"
    try:
        failure_file.parent.mkdir(parents=True, exist_ok=True)
        failure_file.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        print(f"{failure_file} could not be written: {error}", file=sys.stderr)
    return text
