"""One process of the user: its group, its signals, its exit code, and the end of its standard error.

`train` is PID 1 of the container, so three things fall to it that an init would do: hand on signals
(TRAIN-04, TT-64), collect the children that their own parent left behind, and leave none running.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

TAIL = 64 * 1024  # bytes of standard error that are kept to tell the cause
FORWARDED = (signal.SIGTERM, signal.SIGINT)
_GRACE = 5.0  # seconds that the leader's orphans get between SIGTERM and SIGKILL, and once more after it
_RESTORED = (signal.SIGPIPE, signal.SIGXFSZ)  # ignored by Python itself, which no program expects to inherit


class Ended(NamedTuple):
    """How a process ended.

    Attributes:
        exit_code: its own, or 128 + the signal that ended it.
        stderr: the last `TAIL` bytes of its standard error.
        stopped: a SIGTERM or SIGINT was handed on to it.
    """

    exit_code: int
    stderr: bytes
    stopped: bool


def run_process(command: list[str], directory: str, variables: Mapping[str, str]) -> Ended:
    """Run `command` in a process group of its own until it has ended, and no process of the group is left.

    Standard output is handed down; standard error goes through here, byte for byte and at once.

    Args:
        command: program and arguments; the program is looked for on PATH.
        directory: the working directory, also of this process from now on.
        variables: its whole environment.

    Raises:
        OSError: the program cannot be started.
    """
    os.chdir(directory)
    with _Signals() as signals:
        errors, child_end = os.pipe()
        try:
            leader = os.posix_spawnp(
                command[0],
                command,
                variables,
                file_actions=[(os.POSIX_SPAWN_DUP2, child_end, 2)],
                setpgroup=0,
                setsigdef=_RESTORED,
            )
        finally:
            os.close(child_end)
        return _Supervisor(leader, errors, signals).watch()


class _Signals:
    """Signals as bytes in a pipe, so that none is lost and none interrupts: they wait until they are read."""

    def __enter__(self) -> _Signals:
        self.pipe, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)
        os.set_blocking(self.pipe, False)
        self._before_fd = signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        self._before = {
            number: signal.signal(number, lambda *_: None) for number in (*FORWARDED, signal.SIGCHLD)
        }
        return self

    def __exit__(self, *_: object) -> None:
        for caught, handler in self._before.items():
            signal.signal(caught, handler)
        signal.set_wakeup_fd(self._before_fd)
        # One that came when nobody read any more is for whoever is in charge now.
        unread = [number for number in self.arrived() if number in FORWARDED]
        os.close(self.pipe)
        os.close(self._write_end)
        for number in unread[:1]:
            signal.raise_signal(number)

    def arrived(self) -> Iterable[int]:
        """The signals since the last call."""
        try:
            return os.read(self.pipe, 512)
        except BlockingIOError:
            return ()


class _Supervisor:
    """Watches over one process group."""

    def __init__(self, leader: int, errors: int, signals: _Signals) -> None:
        self._leader, self._errors, self._signals = leader, errors, signals
        self._status: int | None = None
        self._stopped = self._ended = False
        self._tail = bytearray()
        os.set_blocking(errors, False)
        self._poll = select.poll()
        for descriptor in (errors, signals.pipe):
            self._poll.register(descriptor, select.POLLIN)

    def watch(self) -> Ended:
        while self._status is None:
            self._step(None)
        self._end_group()
        self._pass_on()
        os.close(self._errors)
        code = os.waitstatus_to_exitcode(self._status)
        return Ended(code if code >= 0 else 128 - code, bytes(self._tail), self._stopped)

    def _step(self, timeout: float | None) -> None:
        """Wait up to `timeout` milliseconds for output or a signal, and deal with it."""
        for descriptor, _ in self._poll.poll(timeout):
            if descriptor == self._errors:
                self._pass_on()
        for number in self._signals.arrived():
            if number in FORWARDED:
                self._stopped = True
                self._signal_group(number)
        self._reap()

    def _pass_on(self) -> None:
        """Hand on what standard error holds now; a process outside of the group may hold it open for ever."""
        for _ in range(64):  # then signals are looked after again
            if self._ended:
                return
            try:
                chunk = os.read(self._errors, TAIL)
            except BlockingIOError:
                return
            if not chunk:
                self._ended = True
                self._poll.unregister(self._errors)
                return
            _write_all(2, chunk)
            self._tail += chunk
            del self._tail[:-TAIL]

    def _reap(self) -> None:
        """Collect every child that has ended, adopted ones too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._leader:
                self._status = status

    def _signal_group(self, number: int) -> bool:
        """Send a signal to every process of the group; False where none is left."""
        try:
            os.killpg(self._leader, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def _end_group(self) -> None:
        """What the leader left running gets SIGTERM, and SIGKILL after a while.

        Some are there for ever: a zombie whose parent left the group and does not collect it, a process that
        waits for a dead disk. The end of PID 1 is theirs.
        """
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._signal_group(number)
            limit = time.monotonic() + _GRACE
            while time.monotonic() < limit:
                if not self._signal_group(0):
                    return
                self._step(20)


def _write_all(descriptor: int, data: bytes) -> None:
    """Nobody may read any more: that must not end the job."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # a program of the job has made it so, where it shares a terminal with us
            select.select([], [descriptor], [])
        except OSError:
            return
