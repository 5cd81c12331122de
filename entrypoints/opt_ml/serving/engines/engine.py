"""Another server in front of the same handlers: from the installation of requirements.txt to its end.

The server is one process with the workers as its children; `service` answers in each with the same `Model` as
the native workers, so handlers, codecs and error bodies are one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvloop

from opt_ml.errors import UserError
from opt_ml.resources import usable_cpus
from opt_ml.serving.engines.gate import Gate
from opt_ml.serving.engines.link import DIRECTORY_VARIABLE, Event, Events, wait_until_idle
from opt_ml.serving.packages import Packages
from opt_ml.serving.settings import Settings
from opt_ml.serving.workers.processes import Children, describe_end, kill_worker, thread_limits

_STOP_PATIENCE = 2.0  # seconds from SIGTERM to SIGKILL of the server's process


@dataclass(frozen=True)
class OtherServer:
    """What is the server's own.

    Attributes:
        title: for people.
        prepare: writes what the server reads into an empty directory, given that and the gate that is to be
            loaded last, and returns the command of its process.
        notice: a line for the log before it starts, or empty.
    """

    title: str
    prepare: Callable[[Path, Gate], list[str]]
    notice: str = ""


def run_engine(settings: Settings, server: OtherServer) -> int:
    """Serve until told to stop. Returns the exit code."""
    return int(uvloop.run(_run(settings, server)))


async def _run(settings: Settings, server: OtherServer) -> int:
    with tempfile.TemporaryDirectory(prefix="engine-") as scratch:
        return await _Engine(settings, server, Path(scratch)).run()


class _Engine:
    """One server and its workers."""

    def __init__(self, settings: Settings, server: OtherServer, directory: Path) -> None:
        self._settings = settings
        self._server = server
        self._directory = directory
        self._loop = asyncio.get_running_loop()
        self._exit_code: asyncio.Future[int] = self._loop.create_future()
        self._children = Children()
        self._packages = Packages(settings.model_dir, self._children)
        self._process: int | None = None
        self._gate = Gate()
        self._is_announced = False
        self._failure = ""

    async def run(self) -> int:
        """Serve until a signal comes, the model cannot be loaded, or the server ends."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._finish, 0)
        signal.signal(signal.SIGCHLD, self._on_child_signal)
        if self._server.notice:
            print(self._server.notice, file=sys.stderr, flush=True)
        async with self._gate:
            with Events(self._directory, self._on_event):
                starting = self._loop.create_task(self._start())
                exit_code = await self._exit_code
                if exit_code == 0 and self._process is not None:  # HOST-05
                    await wait_until_idle(self._directory, self._settings.port, self._settings.drain_timeout)
                starting.cancel()
                await self._end()
        if self._failure:  # behind all that the server has to say
            print(self._failure, file=sys.stderr, flush=True)
        return exit_code

    async def _start(self) -> None:
        try:
            await self._packages.install()
            self._launch()
        except UserError as error:
            self._give_up(str(error), getattr(error, "details", ""))
        except OSError as error:
            self._give_up(f"{self._server.title} cannot be started: {error}.", "")

    def _launch(self) -> None:
        command = self._server.prepare(self._directory, self._gate)
        self._process = os.posix_spawn(
            command[0],
            command,
            self._variables(),
            setpgroup=0,
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGINT, signal.SIGTERM],
        )
        self._children.watch(self._process)

    def _variables(self) -> Mapping[str, str]:
        return {
            **os.environ,
            **thread_limits(self._settings.workers, usable_cpus(), os.environ),
            **self._packages.variables(),
            DIRECTORY_VARIABLE: str(self._directory),
            "TEMP": str(self._directory),
            # The working directory may be read-only (HOST-93).
            "LOG_LOCATION": str(self._directory / "logs"),
            "METRICS_LOCATION": str(self._directory / "logs"),
        }

    def _on_event(self, event: Event) -> None:
        if event.name == "failed":
            # Left to itself the server would load again for ever.
            self._give_up(event.cause, event.details)
        elif not self._is_announced:
            self._is_announced = True
            self._gate.open()
            facts = f"{self._server.title}, workers: {self._settings.workers}"
            print(f"Ready on port {self._settings.port}; {facts}.", flush=True)

    def _on_child_signal(self, number: int, frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._reap)

    def _reap(self) -> None:
        self._children.reap()
        if self._process is not None and self._children.has_ended(self._process):
            self._loop.create_task(self._tell_end(self._process))
            self._process = None

    async def _tell_end(self, process: int) -> None:
        end = describe_end(await self._children.take(process))
        self._give_up(f"{self._server.title} {end}; its last lines say why.", "")

    def _give_up(self, cause: str, details: str) -> None:
        if not self._exit_code.done():
            self._failure = f"{cause}\n{details}".rstrip()
            self._finish(1)

    def _finish(self, exit_code: int) -> None:
        if not self._exit_code.done():
            self._exit_code.set_result(exit_code)

    async def _end(self) -> None:
        """End the server and its workers, which are one process group."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
            await self._children.take(process, _STOP_PATIENCE)
            kill_worker(process)
        self._packages.close()
