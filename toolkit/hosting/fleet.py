"""The containers of an endpoint: started together, asked by number, started again when one ends.

A pipeline's containers share one network, that of the first (PIPE-05), so they are started and stopped as
one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from http.client import HTTPException
from pathlib import Path
from queue import SimpleQueue
from typing import Self

from toolkit.artifacts import model_directory
from toolkit.errors import ToolkitError
from toolkit.hosting.api_errors import unavailable
from toolkit.hosting.invocation import NoAnswerError
from toolkit.machine.run_spec import Bind, RunSpec
from toolkit.serving.endpoint import STOP_GRACE, Endpoint, EndpointError, Stop, Surroundings, describe
from toolkit.serving.http_client import OpenAnswer

FIRST_PORT = 8080  # of the first container of a pipeline; the next ones follow (PIPE-01)
_SAFE_PORTS = 100  # of each container (PIPE-02)

OnLine = Callable[[str, str], None]  # host name of the container, line


@dataclass(frozen=True)
class ContainerDefinition:
    """One container of a model, as CreateModel has it.

    Attributes:
        image: local reference.
        model: what `model_directory` takes; None for no model.
        environment: set as it stands (HOST-09).
        hostname: names the container in errors and in direct mode; `primary` where it is alone.
    """

    image: str
    model: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    hostname: str = "primary"


@dataclass(frozen=True)
class Instance:
    """Where the containers run; the same for all of them.

    Attributes:
        surroundings: see there.
        start_limit: seconds until /ping must be 200 (HOST-41).
        port: of the first container on loopback; None for one that the engine chooses.
        isolated, user, read_only: see `Endpoint`.
    """

    surroundings: Surroundings = field(default_factory=Surroundings)
    start_limit: float = 480.0
    port: int | None = None
    isolated: bool = False
    user: str | None = None
    read_only: bool = False


@dataclass(frozen=True)
class Exit:
    """A container that ended by itself, and how it did."""

    hostname: str
    how: str


class Fleet:
    """The containers, from start to removal, as a context manager.

    Args:
        definitions: in the order of a pipeline.
        instance: where they run.
        on_line: receives each line of their logs, in other threads.

    Attributes:
        generation: number of starts; what a container knew is gone with the next one.
        exits: containers that ended by themselves.

    Raises:
        EndpointError: at the start: a container did not become healthy.
        ToolkitError: at the start: no such image or model.
    """

    def __init__(
        self, definitions: Sequence[ContainerDefinition], instance: Instance, on_line: OnLine
    ) -> None:
        self.definitions = tuple(definitions)
        self._instance = instance
        self._on_line = on_line
        self._models = ExitStack()
        self._running = ExitStack()
        self._endpoints: list[Endpoint] = []
        self._ports: list[int | None] = [instance.port, *([None] * (len(definitions) - 1))]
        self._changed = threading.Condition()
        self._is_up = False
        self._is_coming_back = False
        self._why_down = "the container is being started"
        self.generation = 0
        self.exits: SimpleQueue[tuple[int, Exit]] = SimpleQueue()

    def __enter__(self) -> Self:
        with ExitStack() as models:
            self.definitions = tuple(
                replace(one, model=models.enter_context(model_directory(one.model))) if one.model else one
                for one in self.definitions
            )
            self._start()
            self._models = models.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with self._models, self._running:
            self.stop()

    @property
    def started_in(self) -> float:
        """Seconds until all containers were healthy, in the last start."""
        return max(endpoint.started_in for endpoint in self._endpoints)

    def url(self, index: int = 0) -> str:
        """Where a container itself answers."""
        return self._endpoints[index].url

    def ping(self) -> dict[str, str]:
        """Host name -> what is wrong with its /ping; empty where all are healthy (HOST-40)."""
        wrong = {}
        for definition, endpoint in zip(self.definitions, self._endpoints, strict=True):
            try:
                status = endpoint.ping().status
            except (OSError, HTTPException, ToolkitError) as error:
                wrong[definition.hostname] = str(error) or type(error).__name__
            else:
                if status != 200:
                    wrong[definition.hostname] = f"status {status}"
        return wrong

    def ask(
        self, index: int, method: str, path: str, headers: Mapping[str, str], body: bytes, limit: float
    ) -> OpenAnswer:
        """Send a request to one container; its answer comes in `limit` seconds.

        While the containers are being started again for new code, the request waits for them.

        Raises:
            ApiError: the containers are not there.
            NoAnswerError: no connection, no answer in time, or one that is not HTTP.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_up or not self._is_coming_back, limit)
            if not self._is_up:
                raise unavailable(f"No container can take the request: {self._why_down}.")
            endpoint = self._endpoints[index]
        try:
            return endpoint.open(method, path, headers, body, limit)
        except (OSError, HTTPException, ToolkitError) as error:
            raise NoAnswerError(self.definitions[index].hostname, error) from error

    def restart(self, cause: str, grace: float = STOP_GRACE, requests_wait: bool = False) -> None:
        """Stop what runs, and start all containers anew.

        Args:
            cause: what a client is told meanwhile.
            grace: seconds from SIGTERM to SIGKILL.
            requests_wait: for the new containers, instead of being refused.

        Raises:
            EndpointError: they did not become healthy; `restart` may be called again.
        """
        with self._changed:
            self._is_up, self._is_coming_back, self._why_down = False, requests_wait, cause
        try:
            with self._running:
                self.stop(grace)
            self._start()
        except EndpointError as error:
            self._down(f"it does not start: {error.cause.rstrip('.')}")
            raise
        except ToolkitError as error:
            self._down(error.message.rstrip("."))
            raise

    def stop(self, grace: float = STOP_GRACE) -> list[Stop]:
        """SIGTERM to all containers, SIGKILL `grace` seconds later or at Ctrl-C (HOST-04); how they ended."""
        self.generation += 1  # their ends are no news
        with ThreadPoolExecutor(max(1, len(self._endpoints))) as threads:
            try:
                return list(threads.map(lambda endpoint: endpoint.stop(grace), self._endpoints))
            except KeyboardInterrupt:
                for endpoint in self._endpoints:
                    endpoint.container.kill()
                raise

    def spec(self, index: int, binds: tuple[Bind, ...]) -> RunSpec:
        """What `docker run` is told of one container; `binds` are those of its model."""
        return self._endpoint(index, f"container:{self.definitions[0].hostname}", self._ports[index]).spec(
            binds
        )

    def _down(self, cause: str) -> None:
        with self._changed:
            self._is_up, self._is_coming_back, self._why_down = False, False, cause
            self._changed.notify_all()

    def _start(self) -> None:
        self.generation += 1
        endpoints: list[Endpoint] = []
        with ExitStack() as resources:
            for index in range(len(self.definitions)):
                network, port = "", self._ports[index]
                if index:
                    first = endpoints[0].container
                    network, port = f"container:{first.name}", first.published_port(FIRST_PORT + index)
                endpoints.append(resources.enter_context(self._endpoint(index, network, port)))
            for definition, endpoint in zip(self.definitions, endpoints, strict=True):
                self._wait(definition, endpoint)
            self._running = resources.pop_all()
        self._ports = [endpoint.port for endpoint in endpoints]
        self._endpoints = endpoints
        for definition, endpoint in zip(self.definitions, endpoints, strict=True):
            arguments = (definition.hostname, endpoint, self.generation)
            threading.Thread(target=self._report_end, args=arguments, daemon=True).start()
        with self._changed:
            self._is_up = True
            self._changed.notify_all()

    def _endpoint(self, index: int, network: str, port: int | None) -> Endpoint:
        definition, instance = self.definitions[index], self._instance
        environment, surroundings = dict(definition.environment), instance.surroundings
        if len(self.definitions) > 1:
            environment |= ports_of(index)
            if index == 0:
                others = tuple(FIRST_PORT + other for other in range(1, len(self.definitions)))
                surroundings = replace(surroundings, also_published=others, hostname=definition.hostname)
            else:
                surroundings = replace(surroundings, network=network)
        return Endpoint(
            definition.image,
            definition.model,
            environment=environment,
            port=port,
            isolated=instance.isolated,
            user=instance.user,
            read_only=instance.read_only,
            surroundings=surroundings,
            start_limit=instance.start_limit,
            on_line=lambda line: self._on_line(definition.hostname, line),
            wait=False,
        )

    def _wait(self, definition: ContainerDefinition, endpoint: Endpoint) -> None:
        try:
            endpoint.wait_until_healthy()
        except EndpointError as error:
            if len(self.definitions) == 1:
                raise
            who = f"{definition.hostname} ({definition.image})"
            raise EndpointError(f"{who}: {error.message}", error.cause, error.log) from None

    def _report_end(self, hostname: str, endpoint: Endpoint, generation: int) -> None:
        with suppress(Exception):  # a container that was removed by us has no exit code to tell
            endpoint.wait()
            how = describe(endpoint.container.ending())
            if generation == self.generation:
                self._down(f"{hostname} {how}")
                self.exits.put((generation, Exit(hostname, how)))


def ports_of(index: int) -> dict[str, str]:
    """The ports that the platform gives to one container of several (PIPE-01, PIPE-02)."""
    first = 9000 + _SAFE_PORTS * index
    return {
        "SAGEMAKER_BIND_TO_PORT": str(FIRST_PORT + index),
        "SAGEMAKER_SAFE_PORT_RANGE": f"{first}-{first + _SAFE_PORTS - 1}",
    }
