"""In which surroundings a container serves: what it shares, and what it may use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from toolkit.machine.run_spec import Bind


@dataclass(frozen=True)
class Surroundings:
    """What differs from a container that has an instance to itself.

    Attributes:
        code: directory laid over the model's `code/`: a handler under work.
        binds: further directories of this machine.
        cpus: limit, may be a fraction; None for all of the machine's.
        memory: limit in bytes; None for all of the machine's.
        is_tmp_on_disk: where nothing else can be written, /tmp is disk and does not count as memory.
        network: `container:NAME`, whose network this one shares; that one publishes the ports of both.
        also_published: further ports to publish, for those who share this one's network.
        hostname: None for one that the engine makes.
    """

    code: Path | None = None
    binds: tuple[Bind, ...] = ()
    cpus: float | None = None
    memory: int | None = None
    is_tmp_on_disk: bool = False
    network: str | None = None
    also_published: tuple[int, ...] = ()
    hostname: str | None = None


INSTANCE = Surroundings()
