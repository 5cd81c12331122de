"""What ties a worker to its front; apart, so that the front need not import what a worker imports."""

from __future__ import annotations

import ctypes
import os
import signal

SOCKET = 3
"""File descriptor of the worker's end of the socket pair."""
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with(front: int) -> None:
    """Let the kernel end this process when its front ends, whatever it is doing then."""
    # The end of the socket is only seen between requests; a worker in a long prediction needs the signal.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != front:  # it died before the line above
        os._exit(1)
