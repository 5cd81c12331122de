"""One container, by the Docker Engine API: follow, stop, inspect, run a command in it, remove."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from docker.errors import APIError, NotFound
from docker.models.containers import Container as DockerContainer
from docker.utils.socket import consume_socket_output, demux_adaptor, frames_iter

from toolkit.errors import ToolkitError, WorkError


@dataclass(frozen=True)
class Ending:
    """How a container's main process ended.

    Attributes:
        exit_code: 128 + signal for a kill.
        finished_at: by the engine's clock, RFC 3339 in UTC.
        out_of_memory: the kernel killed it at its memory limit.
    """

    exit_code: int
    finished_at: str
    out_of_memory: bool


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
        with suppress(NotFound):
            self._handle.reload()
            return bool(self._handle.attrs["State"]["Running"])
        return False

    def wait(self) -> int:
        """Block until the main process has ended; its exit code (128 + signal for a kill)."""
        return int(self._handle.wait()["StatusCode"])

    def ending(self) -> Ending:
        """Block until the main process has ended; how it did.

        Raises:
            ToolkitError: the container has been removed.
        """
        try:
            exit_code = self.wait()
            self._handle.reload()
        except NotFound:
            raise WorkError(f"The container {self.name} was removed by another program.") from None
        state = self._handle.attrs["State"]
        return Ending(exit_code, str(state["FinishedAt"]), bool(state["OOMKilled"]))

    def stop(self, grace: float) -> None:
        """SIGTERM to PID 1, SIGKILL after `grace` seconds (TRAIN-94, HOST-04); returns when it has ended.

        The engine counts whole seconds; a part of one is rounded up.
        """
        with suppress(NotFound):
            # The HTTP call lasts as long as the stop: docker-py adds `grace` to its own time limit.
            self._handle.stop(timeout=math.ceil(grace))

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
            raise ToolkitError(f"{command[0]} does not run in {self.name}: {first_line(error)}") from None
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


def first_line(error: object) -> str:
    """What an error of the engine says, without the rest of its page."""
    return str(error).strip().partition("\n")[0]
