"""What `docker run` is told, as data: printed by a dry run, compared in tests, executed by `containers`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Bind:
    """A file or directory of this machine, seen by the container at `target`."""

    source: Path
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class RunSpec:
    """What `docker run` would be told; data only, so that a plan can be printed and tested.

    Attributes:
        image: local reference, such as `opt-ml/ensemble-cpu:latest`.
        command: replaces CMD and is appended to ENTRYPOINT (TRAIN-01, HOST-01).
        purpose: value of the label `LABEL`, for example the job's name.
        network: `bridge`, `none`, the name of a network, or `container:NAME` to share another one's.
        aliases: names under which other containers of `network` find this one.
        own_names: names under which the container finds itself, whatever its network.
        ports: port in the container -> port on loopback, None for one that the engine chooses.
        tmpfs: directories that are writable memory.
        volumes: directories that are writable disk, gone with the container.
        user: `uid` or `uid:gid`; None for the image's own.
        cpus: number of CPUs, may be a fraction.
        memory, shm_size: bytes.
    """

    image: str
    command: tuple[str, ...]
    purpose: str
    entrypoint: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    binds: tuple[Bind, ...] = ()
    network: str = "bridge"
    aliases: tuple[str, ...] = ()
    own_names: tuple[str, ...] = ()
    hostname: str | None = None
    ports: Mapping[int, int | None] = field(default_factory=dict)
    tmpfs: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    user: str | None = None
    read_only: bool = False
    cpus: float | None = None
    memory: int | None = None
    shm_size: int | None = None

    def command_line(self) -> str:
        """The `docker run` line that does the same by hand, quoted for a POSIX shell."""
        words = ["docker", "run", "--rm"]
        words += ["--network", self.network] if self.network != "bridge" else []
        words += [f"--network-alias={alias}" for alias in self.aliases]
        words += [f"--add-host={name}:{LOOPBACK}" for name in self.own_names]
        words += ["--hostname", self.hostname] if self.hostname else []
        words += ["--user", self.user] if self.user else []
        words += ["--read-only"] if self.read_only else []
        words += [f"--tmpfs={directory}" for directory in self.tmpfs]
        words += [f"--volume={directory}" for directory in self.volumes]
        words += [f"--cpus={self.cpus:g}"] if self.cpus else []
        words += [f"--memory={self.memory}"] if self.memory else []
        words += [f"--shm-size={self.shm_size}"] if self.shm_size else []
        for inside, outside in self.ports.items():
            words += ["-p", f"{LOOPBACK}:{'' if outside is None else outside}:{inside}"]
        for name, value in self.environment.items():
            words += ["-e", f"{name}={value}"]
        for bind in self.binds:
            words += ["-v", f"{bind.source}:{bind.target}{':ro' if bind.read_only else ''}"]
        entrypoint = self.entrypoint or ()
        words += ["--entrypoint", entrypoint[0]] if entrypoint else []
        return shlex.join([*words, self.image, *entrypoint[1:], *self.command])
