"""Ctrl-C and its like: held back while something is made that would be lost, and what counts as one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Never


def terminate_like_interrupt() -> None:
    """Let SIGTERM, and a terminal that is closed, end this program as Ctrl-C does: containers are removed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    hang_up = getattr(signal, "SIGHUP", None)  # not on Windows
    if hang_up and signal.getsignal(hang_up) is signal.SIG_DFL:  # `nohup` ignores it
        signal.signal(hang_up, signal.default_int_handler)


def end_at_the_first() -> None:
    """Let the first Ctrl-C, SIGTERM or end of the terminal end this program, which hears no further one.

    For programs that clean up as they end: a second Ctrl-C would leave behind what the first one removes.
    """
    terminate_like_interrupt()
    heard = [number for number in _stops() if signal.getsignal(number) is signal.default_int_handler]

    def end(_number: int, _frame: object) -> Never:
        for number in heard:
            signal.signal(number, signal.SIG_IGN)  # programs that are started from now on inherit it
        raise KeyboardInterrupt

    for number in heard:
        signal.signal(number, end)


def _stops() -> list[signal.Signals]:
    return [found for name in ("SIGINT", "SIGTERM", "SIGHUP") if (found := getattr(signal, name, None))]


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
