"""Containers, by the Docker Engine API: run, follow, stop, inspect and always remove.

The only module that imports docker-py. What it starts carries the label `LABEL`, so that leftovers of a
killed process can be found (`docker ps --all --filter label=...`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, cast

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container as DockerContainer
from docker.types import Mount
from docker.utils.socket import consume_socket_output, demux_adaptor, frames_iter

from toolkit.errors import ToolkitError
from toolkit.namespace import LOCAL_NAMESPACE
from toolkit.run_spec import LOOPBACK, Bind, RunSpec

LABEL = "opt-ml.started-by"


class Container:
    """One container that has been created; made by `Engine.run`, removed when its block ends."""

    def __init__(self, handle: DockerContainer) -> None:
        self._handle = handle

    @property
    def name(self) -> str:
        """The name for `docker exec` and `docker logs`."""
        return str(self._handle.name)

    def lines(self) -> Iterator[str]:
        """Standard output and error as text lines, from the start, until the container ends."""
        rest = b""
        for chunk in self._handle.logs(stream=True, follow=True):
            # The engine cuts lines above 16 KiB into several records; only a newline ends one.
            *complete, rest = (rest + chunk).split(b"\n")
            yield from (line.decode(errors="replace").rstrip("\r") for line in complete)
        if rest:
            yield rest.decode(errors="replace")

    def is_running(self) -> bool:
        """False before the start and after the end of its main process."""
        self._handle.reload()
        return bool(self._handle.attrs["State"]["Running"])

    def wait(self) -> int:
        """Block until the main process has ended; its exit code (128 + signal for a kill)."""
        return int(self._handle.wait()["StatusCode"])

    def was_out_of_memory(self) -> bool:
        """True when the kernel killed it at its memory limit."""
        self._handle.reload()
        return bool(self._handle.attrs["State"]["OOMKilled"])

    def stop(self, grace: int) -> None:
        """SIGTERM to PID 1, SIGKILL after `grace` seconds (TRAIN-94, HOST-04); returns when it has ended."""
        with suppress(NotFound):
            # The HTTP call lasts as long as the stop: docker-py adds `grace` to its own time limit.
            self._handle.stop(timeout=grace)

    def kill(self) -> None:
        """SIGKILL now; nothing to do when it has ended already."""
        with suppress(APIError):
            self._handle.kill()

    def published_port(self, inside: int) -> int | None:
        """The port on loopback that leads to port `inside`; None where the container has ended already."""
        self._handle.reload()
        bindings = self._handle.attrs["NetworkSettings"]["Ports"].get(f"{inside}/tcp")
        return int(bindings[0]["HostPort"]) if bindings else None

    def stats(self) -> Mapping[str, Any]:
        """One reading of the engine's counters, as `GET /containers/ID/stats` gives it; about 4 ms.

        Counters are of the whole life of the container. Once it has ended `memory_stats` is empty.
        """
        with suppress(NotFound):
            return dict(cast(Mapping[str, Any], self._handle.stats(stream=False, one_shot=True)))
        return {}

    def main_process(self) -> str:
        """The command line of PID 1, read inside: `docker top` would need a `ps` on the engine's machine."""
        words = self.exec(["cat", "/proc/1/cmdline"], b"").split(b"\0")
        return " ".join(word.decode(errors="replace") for word in words).strip()

    def exec(self, command: Sequence[str], stdin: bytes) -> bytes:
        """Run `command` inside with `stdin`, which it must read no further than its length.

        Returns:
            the standard output.

        Raises:
            ToolkitError: the command cannot be started or fails, with the first line of what it says.
        """
        api = self._handle.client.api  # type: ignore[union-attr]
        try:
            process = api.exec_create(self._handle.id, list(command), stdin=True)["Id"]
            stream: Any = api.exec_start(process, socket=True)
        except APIError as error:
            raise ToolkitError(f"{command[0]} does not run in {self.name}: {_first_line(error)}") from None
        with stream:
            stream._sock.sendall(stdin)  # docker-py hands out the reading half; this is the way to write
            frames = (demux_adaptor(*frame) for frame in frames_iter(stream, tty=False))  # type: ignore[no-untyped-call]
            output, errors = consume_socket_output(frames, demux=True)
        if api.exec_inspect(process)["ExitCode"]:
            said = (errors or output or b"").decode(errors="replace").strip().rpartition("\n")[2]
            raise ToolkitError(f"{command[0]} failed in {self.name}: {said}")
        return output or b""

    def remove(self) -> None:
        """Kill it if it runs, and remove it with its anonymous volumes."""
        with suppress(NotFound):
            self._handle.remove(force=True, v=True)


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
                f"No Docker engine answers ({_first_line(error)}).", "./build.py doctor --fix"
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
        container = Container(self._create(spec))
        try:
            self._start(container, spec)
            yield container
        finally:
            container.remove()

    @contextmanager
    def private_network(self, spec: RunSpec) -> Iterator[None]:
        """The network on which `spec` has its aliases, made for the block and removed after it (TRAIN-42)."""
        if not spec.aliases:
            yield
            return
        try:
            network = self._client.networks.create(
                spec.network, driver="bridge", labels={LABEL: spec.purpose}
            )
        except APIError as error:
            text = _first_line(error.explanation or error)
            raise ToolkitError(f"Docker could not make a network: {text}", "docker network prune") from None
        try:
            yield
        finally:
            with suppress(NotFound):
                network.remove()

    def give_to_caller(self, image: str, directory: Path) -> None:
        """Make the files that containers wrote below `directory` belong to the user of this process.

        Containers run as root (TRAIN-12), and only root may change an owner: a container of the same
        image does it. Nothing is done where all files are the caller's already.

        Raises:
            ToolkitError: the image has no `chown`.
        """
        owner = os.geteuid()
        if owner != 0 and any(path.lstat().st_uid != owner for path in directory.rglob("*")):
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
                ],
                network=spec.network,
                networking_config=aliases if spec.aliases else None,
                hostname=spec.hostname,
                ports={f"{inside}/tcp": (LOOPBACK, outside or 0) for inside, outside in spec.ports.items()},
                tmpfs=dict.fromkeys(spec.tmpfs, ""),
                user=spec.user,
                read_only=spec.read_only,
                nano_cpus=int(spec.cpus * 1e9) if spec.cpus else None,
                mem_limit=spec.memory,
                shm_size=spec.shm_size,
                labels={LABEL: spec.purpose},
            )
        except APIError as error:
            raise _as_toolkit_error(error, spec) from None

    @staticmethod
    def _start(container: Container, spec: RunSpec) -> None:
        try:
            container._handle.start()
        except APIError as error:
            raise _as_toolkit_error(error, spec) from None


@cache
def engine() -> Engine:
    """The engine of this machine, connected once."""
    return Engine()


def _as_toolkit_error(error: APIError, spec: RunSpec) -> ToolkitError:
    text = _first_line(error.explanation or error)
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


def _first_line(error: object) -> str:
    return str(error).strip().partition("\n")[0]
