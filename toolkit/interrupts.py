"""Ctrl-C and its like: held back while something is made that would be lost, and what counts as one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def terminate_like_interrupt() -> None:
    """Let SIGTERM, and a terminal that is closed, end this program as Ctrl-C does: containers are removed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    hang_up = getattr(signal, "SIGHUP", None)  # not on Windows
    if hang_up and signal.getsignal(hang_up) is signal.SIG_DFL:  # `nohup` ignores it
        signal.signal(hang_up, signal.default_int_handler)


@contextmanager
def held_back() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait for the end of the block.

    An engine that is asked for a container makes it, also where nobody waits for the answer any more: who
    does not hear its name cannot remove it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread alone
        return
    caught: list[int] = []
    usual = {
        number: signal.signal(number, lambda heard, _: caught.append(heard))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
        for came in dict.fromkeys(caught):
            signal.raise_signal(came)
