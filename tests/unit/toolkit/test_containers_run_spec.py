"""The `docker run` line of a run specification."""

from __future__ import annotations

import shlex
from pathlib import Path

from toolkit.machine.run_spec import Bind, RunSpec


def test_the_least_that_can_be_run_is_a_short_line() -> None:
    assert RunSpec("an-image", ("train",), "test").command_line() == "docker run --rm an-image train"


def test_every_part_has_its_option() -> None:
    spec = RunSpec(
        image="an-image",
        command=("-c", "echo $HOME"),
        purpose="test",
        entrypoint=("sh", "-e"),
        environment={"NOTE": "it's two words"},
        binds=(Bind(Path("/a b"), "/data", read_only=True), Bind(Path("/c"), "/out")),
        network="mine",
        aliases=("algo-1",),
        own_names=("algo-2",),
        hostname="somewhere",
        ports={8080: 8081, 9000: None},
        tmpfs=("/tmp",),
        user="1:2",
        read_only=True,
        cpus=1.5,
        memory=1024,
        shm_size=512,
    )
    assert shlex.split(spec.command_line()) == [
        *("docker", "run", "--rm", "--network", "mine", "--network-alias=algo-1"),
        *("--add-host=algo-2:127.0.0.1", "--hostname", "somewhere"),
        *("--user", "1:2", "--read-only", "--tmpfs=/tmp", "--cpus=1.5", "--memory=1024", "--shm-size=512"),
        *("-p", "127.0.0.1:8081:8080", "-p", "127.0.0.1::9000", "-e", "NOTE=it's two words"),
        *("-v", "/a b:/data:ro", "-v", "/c:/out", "--entrypoint", "sh", "an-image", "-e", "-c", "echo $HOME"),
    ]
