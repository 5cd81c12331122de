"""What ties a worker to its front; apart, so that the front need not import what a worker imports."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket

SOCKET = 3
"""File descriptor of the worker's end of the socket pair."""
_OUT_OF_THE_WAY = 64  # the least number of our descriptor; a handler that writes to 3 does not mean the front
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def take_socket() -> socket.socket:
    """Our end of the socket pair, which no process that we start or fork may hold open."""
    connection = socket.socket(fileno=fcntl.fcntl(SOCKET, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY))
    os.close(SOCKET)
    os.register_at_fork(after_in_child=connection.close)
    return connection


def die_with(front: int) -> None:
    """Let the kernel end this process when its front ends, whatever it is doing then."""
    # The end of the socket is only seen between requests; a worker in a long prediction needs the signal.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != front:  # it died before the line above
        os._exit(1)
