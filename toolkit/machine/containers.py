"""The Docker engine, by its API: containers, run and always removed, and their networks.

With `toolkit.machine.container` the only module that imports docker-py. What it starts carries the
label `LABEL`, so that leftovers of a killed process can be found (`docker ps --all --filter label=...`),
and that of the run that the process belongs to, if it has a name in `RUN_VARIABLE`.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container as DockerContainer
from docker.models.networks import Network
from docker.types import Mount

from toolkit import interrupts
from toolkit.errors import ToolkitError
from toolkit.machine.container import Container, first_line
from toolkit.machine.run_spec import LOOPBACK, Bind, RunSpec
from toolkit.namespace import LOCAL_NAMESPACE

__all__ = ["LABEL", "RUN_VARIABLE", "Container", "Engine", "engine", "run_label"]

LABEL = "opt-ml.started-by"
RUN_LABEL = "opt-ml.run"
RUN_VARIABLE = "OPT_ML_RUN"  # of a program that may be killed, and of all that it starts
SETTLED = 1.0  # seconds without anything new, after which nothing more of a killed program comes
SETTLE_LIMIT = 60.0
START_ATTEMPTS = 3
# The engine sometimes loses its own new network interface while other containers come and go. Each start
# makes another one, so that the next attempt need not wait.
_LOST_RACE = re.compile(r"adding interface \S+ to bridge \S+ failed")


class Engine:
    """The Docker engine of this machine.

    Raises:
        ToolkitError: no engine answers.
    """

    def __init__(self) -> None:
        try:
            self._client = docker.from_env()
            self._client.ping()
        except DockerException as error:
            raise ToolkitError(
                f"No Docker engine answers ({first_line(error)}).", "./build.py doctor --fix"
            ) from None

    def image(self, reference: str) -> Mapping[str, Any]:
        """What `docker image inspect` says of a local image.

        Raises:
            ToolkitError: it is not on this machine.
        """
        try:
            return dict(self._client.images.get(reference).attrs)
        except ImageNotFound:
            name = reference.removeprefix(f"{LOCAL_NAMESPACE}/").removesuffix(":latest")
            ours = name != reference and "/" not in name and ":" not in name
            cure = f"make build-{name}" if ours else f"docker pull {reference}"
            raise ToolkitError(f"There is no image {reference} on this machine.", cure) from None

    @contextmanager
    def run(self, spec: RunSpec) -> Iterator[Container]:
        """Create and start a container; it is removed when the block ends, however it ends.

        Raises:
            ToolkitError: the image is not here, the port is taken, the command cannot be started.
        """
        self.image(spec.image)
        container = None
        try:
            with interrupts.held_back():
                container = Container(self._create(spec))
            self._start(container, spec)
            yield container
        finally:
            if container:
                with interrupts.held_back():
                    container.remove()

    @contextmanager
    def private_network(self, spec: RunSpec, internal: bool = False) -> Iterator[None]:
        """The network on which `spec` has its aliases, made for the block and removed after it (TRAIN-42).

        Args:
            spec: names it; nothing is made where it has no aliases.
            internal: only its own containers can be reached on it.
        """
        if not spec.aliases:
            yield
            return
        network = None
        try:
            with interrupts.held_back():
                network = self._create_network(spec, internal)
            yield
        finally:
            if network:
                with interrupts.held_back(), suppress(NotFound):
                    network.remove()

    def _create_network(self, spec: RunSpec, internal: bool) -> Network:
        try:
            return self._client.networks.create(
                spec.network, driver="bridge", internal=internal, labels=_labels(spec)
            )
        except APIError as error:
            text = first_line(error.explanation or error)
            raise ToolkitError(f"Docker could not make a network: {text}", "docker network prune") from None

    def remove_run(self, run: str) -> None:
        """Remove the containers, networks and images of a run whose processes have been killed.

        An engine makes what it was asked for, also where nobody waits for it any more: it is looked until
        nothing new comes.
        """
        client, mine = self._client, {"label": f"{RUN_LABEL}={run}"}
        began = quiet = time.monotonic()
        while (now := time.monotonic()) - quiet < SETTLED and now - began < SETTLE_LIMIT:
            removals: list[Callable[[], object]] = [
                partial(container.remove, force=True, v=True)
                for container in client.containers.list(all=True, sparse=True, filters={**mine})
            ]
            removals += [network.remove for network in client.networks.list(filters=mine)]
            removals += [
                partial(client.images.remove, str(image.id), force=True)
                for image in client.images.list(filters=mine)
            ]
            for remove in removals:
                with suppress(APIError):
                    remove()
            if removals:
                quiet = time.monotonic()
            time.sleep(0.1)

    def give_names(self, container: Container, spec: RunSpec) -> None:
        """Connect a running container to the network of `spec`, where its aliases lead to it (TRAIN-42).

        Nothing is done when it has ended.
        """
        with suppress(APIError):
            self._client.networks.get(spec.network).connect(container._handle, aliases=list(spec.aliases))

    def shares_kernel(self) -> bool:
        """True where the engine runs on this machine's own Linux: then a FIFO leads through a mount."""
        machine = os.uname()
        return machine.sysname == "Linux" and self._client.info().get("KernelVersion") == machine.release

    def give_to_caller(self, image: str, *directories: Path) -> None:
        """Make the files that containers wrote below `directories` belong to the user of this process.

        Containers run as root (TRAIN-12), and only root may change an owner: a container of the same
        image does it. Nothing is done where all files are the caller's already.

        Raises:
            ToolkitError: the image has no `chown`.
        """
        owner = os.geteuid()
        foreign = [
            directory
            for directory in directories
            if owner != 0 and any(path.lstat().st_uid != owner for path in directory.rglob("*"))
        ]
        for directory in foreign:
            self.change_owner(image, directory, owner, os.getegid())

    def change_owner(self, image: str, directory: Path, uid: int, gid: int) -> None:
        """`chown -R uid:gid directory`, by a container of `image` that runs as root.

        Raises:
            ToolkitError: the image has no `chown`, or it fails.
        """
        spec = RunSpec(
            image=image,
            entrypoint=("chown",),
            command=("-R", f"{uid}:{gid}", "/given"),
            purpose="chown",
            binds=(Bind(directory, "/given"),),
            network="none",
            user="0:0",
        )
        with self.run(spec) as container:
            said = list(container.lines())
            if container.wait():
                raise ToolkitError(
                    f"chown failed in {image}: {said[-1:]}", f"sudo chown -R {uid}:{gid} {directory}"
                )

    def _create(self, spec: RunSpec) -> DockerContainer:
        shares = spec.network.startswith("container:")
        aliases = {spec.network: self._client.api.create_endpoint_config(aliases=list(spec.aliases))}
        try:
            return self._client.containers.create(
                spec.image,
                command=list(spec.command),
                entrypoint=list(spec.entrypoint) if spec.entrypoint else None,
                environment=dict(spec.environment),
                mounts=[
                    Mount(bind.target, str(bind.source), type="bind", read_only=bind.read_only)
                    for bind in spec.binds
                ]
                + [Mount(directory, None, type="volume") for directory in spec.volumes],
                network=None if shares else spec.network,
                network_mode=spec.network if shares else None,
                networking_config=aliases if spec.aliases else None,
                extra_hosts=dict.fromkeys(spec.own_names, LOOPBACK),
                hostname=spec.hostname,
                ports={f"{inside}/tcp": (LOOPBACK, outside or 0) for inside, outside in spec.ports.items()},
                tmpfs=dict.fromkeys(spec.tmpfs, ""),
                user=spec.user,
                read_only=spec.read_only,
                nano_cpus=int(spec.cpus * 1e9) if spec.cpus else None,
                mem_limit=spec.memory,
                shm_size=spec.shm_size,
                labels=_labels(spec),
            )
        except APIError as error:
            raise _as_toolkit_error(error, spec) from None

    @staticmethod
    def _start(container: Container, spec: RunSpec) -> None:
        for attempts_left in reversed(range(START_ATTEMPTS)):
            try:
                container._handle.start()
                return
            except APIError as error:
                if not (attempts_left and _LOST_RACE.search(str(error.explanation or error))):
                    raise _as_toolkit_error(error, spec) from None


@cache
def engine() -> Engine:
    """The engine of this machine, connected once."""
    return Engine()


def run_label() -> dict[str, str]:
    """The label of what this process has the engine make; none where its run has no name."""
    run = os.environ.get(RUN_VARIABLE)
    return {RUN_LABEL: run} if run else {}


def _labels(spec: RunSpec) -> dict[str, str]:
    return {LABEL: spec.purpose, **run_label()}


def _as_toolkit_error(error: APIError, spec: RunSpec) -> ToolkitError:
    text = first_line(error.explanation or error)
    if "already allocated" in text or "already in use" in text:
        port = next((outside for outside in spec.ports.values() if outside), None)
        return ToolkitError(f"Port {port} of this machine is taken.", "Choose another with --port.")
    if "executable file not found" in text:
        program = spec.entrypoint or spec.command
        return ToolkitError(  # TRAIN-02, HOST-02
            f'{spec.image} has no executable "{program[0]}" on PATH, and no ENTRYPOINT that takes the word.',
            f"Put an executable named {program[0]} on PATH, or set an ENTRYPOINT in exec form.",
        )
    return ToolkitError(f"Docker could not start {spec.image}: {text}")
