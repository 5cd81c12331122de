"""An endpoint on this machine, whole: its containers, the route to them, and the API in front."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from toolkit.errors import ToolkitError
from toolkit.hosting.container_log import readable
from toolkit.hosting.door import Door
from toolkit.hosting.fleet import ContainerDefinition, Fleet, Instance
from toolkit.hosting.invocation import Route
from toolkit.hosting.limits import REAL_TIME, Limits, check_environments
from toolkit.hosting.model_store import model_store
from toolkit.hosting.multi_model import MultiModel
from toolkit.hosting.request_log import RequestLog
from toolkit.hosting.routes import Direct, Pipeline, SingleModel
from toolkit.hosting.runtime import Runtime
from toolkit.machine.containers import engine

_CAPABILITY = "com.amazonaws.sagemaker.capabilities."
_MOST_CONTAINERS = 15  # PIPE-04
_NAME = re.compile(r"(?=.{1,63}\Z)[a-zA-Z0-9](-*[a-zA-Z0-9])*")  # as the API has it


@dataclass(frozen=True)
class EndpointConfig:
    """What an endpoint is.

    Attributes:
        name: of the endpoint.
        definitions: its containers.
        instance: where they run.
        limits: of its kind.
        port: of the API on loopback; None for any free one.
        models: directory of a multi-model endpoint's models; None for another kind.
        keeps_loaded: of a multi-model endpoint.
        is_direct: the client names one of several containers (PIPE-07); they are no pipeline.

    Raises:
        ToolkitError: a value that SageMaker refuses, or that cannot be here; names the option.
    """

    name: str
    definitions: tuple[ContainerDefinition, ...]
    instance: Instance = field(default_factory=Instance)
    limits: Limits = REAL_TIME
    port: int | None = None
    models: Path | None = None
    keeps_loaded: bool = True
    is_direct: bool = False

    def __post_init__(self) -> None:
        _check_name("--name", self.name)
        for definition in self.definitions:
            _check_name("--pipeline", definition.hostname)
        if self.port is not None and not 1 <= self.port <= 65535:
            raise ToolkitError(f"--port {self.port} is no port.", "Use 1 to 65535, or 0 for any free one.")
        check_environments([definition.environment for definition in self.definitions])
        if self.instance.surroundings.code and (self.models or len(self.definitions) > 1):
            raise ToolkitError(
                "--code is laid over the code of one model: it goes without --multi-model and --pipeline."
            )


class LocalEndpoint:
    """Runs what an `EndpointConfig` says, as a context manager.

    Args:
        config: see there.
        say: receives lines for people: requests, the containers' logs, models loaded; in many threads.
        shows_requests: False leaves the line of each request out.

    Attributes:
        url: of the API.
        fleet: the containers.
        requests: what was served.

    Raises:
        EndpointError: at the start: a container did not become healthy.
        ToolkitError: at the start: an image lacks a label, the port is taken, no such image or model.
    """

    def __init__(
        self, config: EndpointConfig, say: Callable[[str], None], shows_requests: bool = True
    ) -> None:
        self.config = config
        self._say = say
        self._resources = ExitStack()
        self.requests = RequestLog(say if shows_requests else lambda _: None, config.limits.certain_payload)

    def __enter__(self) -> Self:
        config = self.config
        self._check()
        with ExitStack() as resources:
            instance, definitions = config.instance, config.definitions
            store = resources.enter_context(model_store(config.models)) if config.models else None
            if store:
                around = instance.surroundings
                binds = (*around.binds, store.bind)
                instance = replace(instance, surroundings=replace(around, binds=binds))
                environment = {**definitions[0].environment, "SAGEMAKER_MULTI_MODEL": "true"}  # MME-02
                definitions = (replace(definitions[0], model=None, environment=environment),)
            self.fleet = Fleet(definitions, instance, self._log_line)
            route: Route = SingleModel(self.fleet)
            if store:
                route = MultiModel(self.fleet, store, config.name, config.keeps_loaded, self._say)
            elif config.is_direct:
                route = Direct(self.fleet)
            elif len(definitions) > 1:
                route = Pipeline(self.fleet, config.name)
            runtime = Runtime(config.name, route, config.limits)
            # A port that is taken is told at once, not when the containers are healthy.
            door = resources.enter_context(Door(runtime, self.fleet, self.requests, config.port))
            resources.enter_context(self.fleet)
            resources.callback(door.close)  # before the containers stop
            door.open()
            self.url = door.url
            self._resources = resources.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def _log_line(self, hostname: str, line: str) -> None:
        shown = readable(line, self.requests.quiet_for())
        if shown is None:
            return
        self._say(f"{hostname}  {shown}" if len(self.config.definitions) > 1 else shown)

    def _check(self) -> None:
        """The labels without which CreateModel or CreateEndpoint refuses the image."""
        if len(self.config.definitions) > _MOST_CONTAINERS:
            raise ToolkitError(f"An endpoint has at most {_MOST_CONTAINERS} containers.")
        for definition in self.config.definitions:
            if self.config.models:
                require_label(definition.image, "multi-models", "a multi-model endpoint")  # MME-01
            elif len(self.config.definitions) > 1:
                require_label(definition.image, "accept-bind-to-port", "several containers")  # PIPE-03


def _check_name(option: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ToolkitError(
            f"{option} {name}: SageMaker refuses the name.",
            "A name has at most 63 letters, digits and hyphens, and no hyphen at its ends.",
        )


def require_label(image: str, capability: str, purpose: str) -> None:
    """The image says that it can do what is asked.

    Raises:
        ToolkitError: it does not.
    """
    labels = engine().image(image)["Config"].get("Labels") or {}
    if labels.get(_CAPABILITY + capability) != "true":
        raise ToolkitError(
            f"{image} has no label {_CAPABILITY}{capability}=true: SageMaker refuses it for {purpose}.",
            f'Add it to the Dockerfile (LABEL {_CAPABILITY}{capability}="true") where the server can do it.',
        )
