"""A SageMaker endpoint on this machine: one container that serves one model, by the platform's rules.

with Endpoint("opt-ml/ensemble-cpu:latest", model=Path("jobs/demo/model.tar.gz")) as endpoint:
    print(endpoint.invoke(b"1,2,3", content_type="text/csv").text)
"""

from __future__ import annotations

import http.client
import os
import re
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from toolkit.errors import ToolkitError, WorkError
from toolkit.jobs.job_log import OnLine
from toolkit.machine.container import Ending
from toolkit.machine.containers import Container, engine
from toolkit.machine.run_spec import LOOPBACK, Bind, RunSpec
from toolkit.machine.surroundings import INSTANCE, Surroundings
from toolkit.serving.http_client import INVOCATION_LIMIT, Response
from toolkit.serving.model_mounts import model_binds
from toolkit.serving.model_server import InvocationError, ModelServer
from toolkit.serving.relay import SCRIPT, RelayedConnection

__all__ = [
    "Bind",
    "Endpoint",
    "EndpointError",
    "InvocationError",
    "Response",
    "RunSpec",
    "Stop",
    "Surroundings",
]

PORT = 8080  # HOST-30
START_LIMIT = 480.0  # seconds until /ping must be 200 (HOST-41)
STOP_GRACE = 30  # seconds from SIGTERM to SIGKILL (HOST-04)
PROBE_INTERVAL = 0.2  # seconds between two probes; the platform's own is not documented

LAST_LINES = 20  # of the log, shown where the container does not become healthy
PING_FAILURE = (
    '"The primary container for production variant AllTraffic did not pass the ping health check. '
    'Please check CloudWatch logs for this endpoint."'
)

_SOUNDS_WRONG = re.compile(r"error|exception|cannot|failed", re.IGNORECASE)


class EndpointError(WorkError):
    """The container did not become healthy: CreateEndpoint would end as `Failed`.

    Args:
        message: what happened, and its cause.
        cause: the line of the container's log that says most, or the first line of the message.
        log: its last lines, for those who have not seen them come.
    """

    def __init__(self, message: str, cause: str = "", log: str = "") -> None:
        super().__init__(f"{message}\n  The container's last lines:\n{log}" if log else message)
        self.message = message
        self.cause = cause or message.partition("\n")[0]
        self.log = log


@dataclass(frozen=True)
class Stop:
    """How the container ended.

    Attributes:
        by_itself: it had ended by the time the grace period was over; False when it had to be killed.
        exit_code: 0 after a clean stop (HOST-05); 137 after SIGKILL.
        duration: seconds from SIGTERM to the end.
    """

    by_itself: bool
    exit_code: int
    duration: float


class Endpoint(ModelServer):
    """A container that runs `serve`, from start to removal, as a context manager.

    Args:
        image: local image reference.
        model: a model.tar.gz, or a directory that holds what one would; None for no model (HOST-22).
        environment: set as it stands; SAGEMAKER_BIND_TO_PORT moves the server (PIPE-01).
        port: port on loopback; None for one that the engine chooses.
        isolated: no network at all (HOST-114, HOST-115). Requests then go through `python3` inside.
        user: `uid[:gid]` to run as; None for the image's own.
        read_only: nothing but /tmp can be written (HOST-93).
        surroundings: what else differs from an instance of its own.
        start_limit: seconds until /ping must be 200 (HOST-41).
        on_line: receives each line of the container's log as it comes, in another thread.
        wait: False returns from the start before the container is healthy.

    Raises:
        EndpointError: at the start: the container ended, or was not healthy in time.
        ToolkitError: at the start: no engine, no such image, no such model, the port is taken.
    """

    def __init__(
        self,
        image: str,
        model: Path | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        port: int | None = None,
        isolated: bool = False,
        user: str | None = None,
        read_only: bool = False,
        surroundings: Surroundings = INSTANCE,
        start_limit: float = START_LIMIT,
        on_line: OnLine | None = None,
        wait: bool = True,
    ) -> None:
        self._image = image
        self._model = model
        self._environment = dict(environment or {})
        self._port = port
        self._isolated = isolated
        self._user = user
        self._read_only = read_only
        self._surroundings = surroundings
        self._start_limit = start_limit
        self._on_line = on_line
        self._wait = wait
        self._inside_port = _inside_port(self._environment)
        self._resources = ExitStack()
        self._lines: list[str] = []
        self._stop: Stop | None = None
        self.started_in = 0.0

    def __enter__(self) -> Self:
        with ExitStack() as resources:
            binds = resources.enter_context(model_binds(self._model, self._surroundings.code))
            self.container: Container = resources.enter_context(engine().run(self.spec(binds)))
            self._started = time.monotonic()
            self._reader = threading.Thread(target=self._read_log, daemon=True)
            self._reader.start()
            if not (self._isolated or self._surroundings.network):
                self._port = self.container.published_port(self._inside_port)
            if self._wait:
                self.wait_until_healthy()
            self._resources = resources.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Who gives up a container that is being started waits for nothing: before a program has said what
        # SIGTERM is to do, the first process of a container does not hear it.
        with self._resources:
            self.stop(0 if kind and not self.started_in else STOP_GRACE)

    @property
    def port(self) -> int | None:
        """The port on loopback; None where none was asked for and the container is not started."""
        return self._port

    @property
    def url(self) -> str:
        """Where the endpoint answers, such as `http://127.0.0.1:8080`."""
        return f"http://{LOOPBACK}:{self._port or self._inside_port}"

    def spec(self, binds: tuple[Bind, ...]) -> RunSpec:
        """What `docker run` is told; `binds` are those of the model (HOST-21)."""
        around = self._surroundings
        publishes = not (self._isolated or around.network)
        others = dict.fromkeys(around.also_published)
        temporary = ("/tmp",) if self._read_only else ()  # noqa: S108 - a directory of the container
        return RunSpec(
            image=self._image,
            command=("serve",),
            purpose="endpoint",
            environment=self._environment,
            binds=(*binds, *around.binds),
            network=around.network or ("none" if self._isolated else "bridge"),
            hostname=around.hostname,
            ports={self._inside_port: self._port, **others} if publishes else {},
            tmpfs=() if around.is_tmp_on_disk else temporary,
            volumes=temporary if around.is_tmp_on_disk else (),
            user=self._user,
            read_only=self._read_only,
            cpus=around.cpus,
            memory=around.memory,
            # HOST-14: up to half of the memory
            shm_size=(around.memory or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) // 2,
        )

    def wait_until_healthy(self) -> None:
        """Probe /ping until it answers 200 (HOST-40, HOST-41).

        Raises:
            EndpointError: the container ended, or the start limit is over; with its last lines.
        """
        answer = "no answer"
        while (waited := time.monotonic() - self._started) < self._start_limit:
            if not self.container.is_running():
                how = describe(self.container.ending())
                raise self._unhealthy(f"The container {how} before /ping answered 200")
            try:
                status = self.ping().status
            except (OSError, http.client.HTTPException, ToolkitError) as error:
                answer = str(error) or type(error).__name__
            else:
                if status == 200:
                    self.started_in = waited
                    return
                answer = f"status {status}"
            time.sleep(PROBE_INTERVAL)
        raise self._unhealthy(
            f"/ping was not 200 within {self._start_limit:.0f} s; the last probe got: {answer}"
        )

    def connect(self, timeout: float = INVOCATION_LIMIT) -> http.client.HTTPConnection:
        """A new connection, for `http_client.send` or for raw requests; `timeout` in seconds."""
        if self._isolated:
            return RelayedConnection(f"localhost:{self._inside_port}", self._relay, timeout)
        return http.client.HTTPConnection(LOOPBACK, int(self._port or 0), timeout=timeout)

    def logs(self) -> str:
        """Everything that the container has printed so far."""
        return "\n".join(self._lines)

    def wait(self) -> int:
        """Block until the container ends; its exit code."""
        self._reader.join()
        return self.container.wait()

    def stop(self, grace: float = STOP_GRACE) -> Stop:
        """SIGTERM, and SIGKILL `grace` seconds later (HOST-04); a second call changes nothing."""
        if self._stop is None:
            began = time.monotonic()
            self.container.stop(grace)
            exit_code = self.container.wait()
            self._reader.join()
            duration = time.monotonic() - began
            self._stop = Stop(duration < grace and exit_code != 137, exit_code, round(duration, 3))
        return self._stop

    def _read_log(self) -> None:
        for line in self.container.lines():
            self._lines.append(line)
            if self._on_line:
                self._on_line(line)

    def _relay(self, request: bytes, limit: float) -> bytes:
        numbers = [str(self._inside_port), str(len(request)), str(limit)]
        return self.container.exec(["python3", "-c", SCRIPT, *numbers], request)

    def _unhealthy(self, reason: str) -> EndpointError:
        if not self.container.is_running():
            self._reader.join()
        tail = "\n".join(f"    {line}" for line in self._lines[-LAST_LINES:]) or "    (it printed nothing)"
        cause = next((line for line in self._lines if _SOUNDS_WRONG.search(line)), "".join(self._lines[-1:]))
        what = f"{reason}. Its log: {cause}" if cause else f"{reason}. It printed nothing."
        return EndpointError(f"{what}\n  SageMaker would say: {PING_FAILURE}", cause or reason, tail)


def describe(ending: Ending) -> str:
    """How a container ended, for people."""
    if ending.out_of_memory:
        return "was killed at its memory limit"
    return f"ended with exit code {ending.exit_code}"


def _inside_port(environment: Mapping[str, str]) -> int:
    text = environment.get("SAGEMAKER_BIND_TO_PORT") or str(PORT)
    if not text.isdecimal():
        raise ToolkitError(f"SAGEMAKER_BIND_TO_PORT={text} is not a port number.", "Use 1 to 65535.")
    return int(text)
