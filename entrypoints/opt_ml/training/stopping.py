"""SIGTERM: StopTrainingJob, a time limit, an early stop of a tuning job, or a spot interruption (TRAIN-94).

120 seconds later comes SIGKILL. Until then a job may save what it has (TRAIN-95). There are two ways to
take the signal, and a program chooses for each of its parts:

    stopping.install()                    # first of all: PID 1 ignores a signal that has no handler
    data = read()                         # here SIGTERM raises `Stopped`, wherever the program is
    with stopping.deferred():             # here it only notes the signal ...
        for epoch in range(epochs):
            if stopping.requested():      # ... and the program asks, where its state is whole
                break
            train_one(epoch)
        save()                            # so that SIGTERM does not halve it
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)  # the second is Ctrl-C at a `docker run` by hand
STOPPED = 143  # 128 + SIGTERM, what a process that does not catch the signal would show
AGAIN = 10.0  # seconds after which a call that is still not interrupted is interrupted once more


class Stopped(BaseException):
    """The job was told to stop; no `Exception`, so that a library does not take it for a fault of its own."""


class _State:
    arrived = False
    raises = True
    interrupts = False  # in a call that cannot ask
    reminds = False  # the alarm is set


def install() -> None:
    """Take SIGTERM and SIGINT from now on; may be called again. Does nothing outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in SIGNALS:
        signal.signal(number, _arrive)


def finish() -> None:
    """Take no notice of further signals: the job is over, and a traceback would only hide its last line."""
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def requested() -> bool:
    """True from the first signal on, also where a library swallowed or replaced the exception."""
    return _State.arrived


def check() -> None:
    """Raise `Stopped` if a signal has come."""
    if _State.arrived:
        raise Stopped


@contextmanager
def deferred() -> Iterator[None]:
    """In this block a signal is only noted; ask `requested`. A second Ctrl-C ends the job all the same."""
    check()
    with _raising(False):
        yield


@contextmanager
def interruptible() -> Iterator[None]:
    """In this block, within a deferred one, a signal raises `Stopped`: for calls that cannot ask.

    It does so again every `AGAIN` seconds until the block is left: Python passes over an exception that comes
    while an object is finalized, and a fit would go on until SIGKILL.

    Raises:
        Stopped: at once if a signal has come before.
    """
    with _raising(True):
        check()
        before, _State.interrupts = _State.interrupts, True
        try:
            yield
        finally:
            _State.interrupts = before
            if _State.reminds:
                signal.setitimer(signal.ITIMER_REAL, 0)
                _State.reminds = False


@contextmanager
def _raising(value: bool) -> Iterator[None]:
    before, _State.raises = _State.raises, value
    try:
        yield
    finally:
        _State.raises = before


def _arrive(signum: int, frame: FrameType | None) -> None:
    first, _State.arrived = not _State.arrived, True
    # A second SIGTERM must not disturb what the first one set going. A second Ctrl-C is a person who wants
    # to see the end of it.
    if (first and _State.raises) or (not first and signum == signal.SIGINT):
        if _State.interrupts:
            signal.signal(signal.SIGALRM, _remind)
            signal.setitimer(signal.ITIMER_REAL, AGAIN, AGAIN)
            _State.reminds = True
        raise Stopped


def _remind(signum: int, frame: FrameType | None) -> None:
    if _State.interrupts and _State.raises:
        raise Stopped
