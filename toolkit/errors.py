"""Errors that a person can act on; the command line prints their text and no traceback."""

from __future__ import annotations


class ToolkitError(Exception):
    """Something outside this program is not as it must be.

    Args:
        message: one sentence: what is wrong, naming the file, image or command.
        cure: the command or the change that mends it.

    Attributes:
        exit_code: of the command line: 2, the call or the machine is not as it must be.
    """

    exit_code = 2

    def __init__(self, message: str, cure: str = "") -> None:
        super().__init__(f"{message}\n  {cure}" if cure else message)
        self.message = message
        self.cure = cure


class WorkError(ToolkitError):
    """What was asked for was begun and failed: a build, a start of an endpoint."""

    exit_code = 1
