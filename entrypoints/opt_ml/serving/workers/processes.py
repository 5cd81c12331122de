"""Starting, ending and reaping worker processes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from opt_ml.resources import usable_cpus
from opt_ml.serving.workers.worker_socket import SOCKET

_THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_LONGEST_PAUSE = 10.0  # seconds
_SHORT_LIFE = 5.0  # seconds; a process that dies sooner than that waits before its next start
_STARTS = 5  # failed in a row, before they count as hopeless


def thread_limits(workers: int, cpus: int, environment: Mapping[str, str]) -> dict[str, str]:
    """Environment variables that share `cpus` among the thread pools of `workers`.

    Left at the libraries' default, each worker starts a thread a CPU, and the pools fight: measured 15
    times slower with two workers on two CPUs. What the user set stays; the user's OMP_NUM_THREADS counts
    for the other libraries too, as they would take it themselves.
    """
    threads = environment.get("OMP_NUM_THREADS") or str(max(1, cpus // workers))
    limits = {"OMP_NUM_THREADS": threads, **dict.fromkeys(_THREAD_VARIABLES, threads.partition(",")[0])}
    return {name: value for name, value in limits.items() if not environment.get(name)}


def start_worker(
    module: str,
    arguments: Sequence[str],
    workers: int,
    variables: Mapping[str, str] | None = None,
    kind: int = socket.SOCK_STREAM,
) -> tuple[int, socket.socket]:
    """Start one worker process; returns its process id and our end of the socket pair.

    The worker leads a process group of its own: Ctrl-C on a terminal then reaches the front only, and
    ending the worker ends what its handler started.

    Args:
        module: what the process runs.
        arguments: its arguments; the front's process id follows them.
        workers: how many share the CPUs.
        variables: of its environment, beside our own.
        kind: of the sockets.
    """
    ours, theirs = socket.socketpair(type=kind)
    with theirs:
        process = os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", "-m", module, *arguments, str(os.getpid())],
            {**os.environ, **thread_limits(workers, usable_cpus(), os.environ), **(variables or {})},
            file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), SOCKET)],
            setpgroup=0,
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGINT, signal.SIGTERM],
        )
    ours.setblocking(False)
    return process, ours


def kill_worker(process: int) -> None:
    """End a worker and what it started, at once; safe after it was reaped, because groups outlive leaders."""
    with suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)


class Children:
    """How the worker processes of this front ended, whoever of several pools asks.

    As PID 1 the front also reaps orphans that others started; nobody asks for those.
    """

    def __init__(self) -> None:
        self._watched: set[int] = set()
        self._ended: dict[int, int] = {}

    def watch(self, process: int) -> None:
        """Keep the wait status of a process that was just started, until it is taken."""
        self._watched.add(process)

    def reap(self) -> None:
        """Let the kernel forget every child that has ended."""
        with suppress(ChildProcessError):
            while (result := os.waitpid(-1, os.WNOHANG))[0]:
                if result[0] in self._watched:
                    self._ended[result[0]] = result[1]

    def has_ended(self, process: int) -> bool:
        """True from the end of a watched process until its status is taken."""
        return process in self._ended

    async def take(self, process: int, patience: float = 2.0) -> int | None:
        """The wait status of a process that ends now, or None if it has not within `patience` seconds."""
        deadline = time.monotonic() + patience
        while process not in self._ended and time.monotonic() < deadline:
            self.reap()
            await asyncio.sleep(0.005)
        self._watched.discard(process)
        return self._ended.pop(process, None)


class Starts:
    """How the starts of one kind of process have gone lately.

    Attributes:
        failures: starts in a row that came to nothing, and short lives.
    """

    def __init__(self) -> None:
        self.failures = 0

    @property
    def are_hopeless(self) -> bool:
        """True after so many failures that further starts are likely to fail, too."""
        return self.failures >= _STARTS

    def count(self, life: float | None) -> None:
        """A process has ended.

        Args:
            life: seconds since it could serve; None where it never could.
        """
        self.failures = 0 if life is not None and life >= _SHORT_LIFE else self.failures + 1

    async def pause(self) -> None:
        """Wait before the next start, the longer the more have failed."""
        if self.failures:
            await asyncio.sleep(pause_after(self.failures))


def pause_after(failures: int) -> float:
    """Seconds to wait before the next start of a worker; a float holds no power of a large number."""
    return min(0.05 * 2.0 ** min(failures, 10), _LONGEST_PAUSE)


def describe_end(status: int | None) -> str:
    """How a worker ended, in words that say what to do about it."""
    if status is None:
        return "stopped answering"
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exited with code {code}"
    name = signal.Signals(-code).name
    hint = " (out of memory? Use fewer workers or a larger instance)" if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}"
