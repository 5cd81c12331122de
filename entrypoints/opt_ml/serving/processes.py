"""Starting, ending and reaping worker processes."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from opt_ml.resources import usable_cpus
from opt_ml.serving.worker_socket import SOCKET

_THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def thread_limits(workers: int, cpus: int, environment: Mapping[str, str]) -> dict[str, str]:
    """Environment variables that share `cpus` among the thread pools of `workers`.

    Left at the libraries' default, each worker starts a thread a CPU, and the pools fight: measured 15
    times slower with two workers on two CPUs. What the user set stays; the user's OMP_NUM_THREADS counts
    for the other libraries too, as they would take it themselves.
    """
    threads = environment.get("OMP_NUM_THREADS") or str(max(1, cpus // workers))
    limits = {"OMP_NUM_THREADS": threads, **dict.fromkeys(_THREAD_VARIABLES, threads.partition(",")[0])}
    return {name: value for name, value in limits.items() if not environment.get(name)}


def start_worker(model_dir: Path, workers: int) -> tuple[int, socket.socket]:
    """Start one worker process; returns its process id and our end of the socket pair.

    The worker leads a process group of its own: Ctrl-C on a terminal then reaches the front only, and
    ending the worker ends what its handler started.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        process = os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", "-m", "opt_ml.serving.worker", str(model_dir), str(os.getpid())],
            {**os.environ, **thread_limits(workers, usable_cpus(), os.environ)},
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


def reap() -> dict[int, int]:
    """Process id to wait status of every child that has ended; as PID 1, orphans of others among them."""
    ended = {}
    with suppress(ChildProcessError):
        while (result := os.waitpid(-1, os.WNOHANG))[0]:
            ended[result[0]] = result[1]
    return ended


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
