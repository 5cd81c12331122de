"""Ctrl-C, as a terminal sends it to every process of a program: nothing is left of what was begun."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tarfile
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from toolkit.building.images import ROOT
from toolkit.machine.containers import RUN_LABEL, RUN_VARIABLE

PATIENCE = 300.0  # seconds for what must come; no test waits this long
BETWEEN = 0.3  # seconds from one Ctrl-C to the next


class Program:
    """A command in a process group of its own, and all that is seen of it from outside.

    Args:
        arguments: of this Python.
        directory: an empty one, for its temporary files and for what it prints.
    """

    def __init__(self, arguments: list[str], directory: Path) -> None:
        self.run = uuid.uuid4().hex
        self.temporary, self._output = directory / "temporary", directory / "output"
        self.temporary.mkdir()
        environment = {
            **os.environ,
            RUN_VARIABLE: self.run,
            "TMPDIR": str(self.temporary),
            "OPT_ML_NAMESPACE": "opt-ml-stopped",  # the zoo makes the tiny image anew
        }
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def eventually(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert self._process.poll() is None, f"it ended before {what}: {self.output()}"
            assert time.monotonic() < deadline, f"never seen: {what}: {self.output()}"
            time.sleep(0.05)

    def press_ctrl_c(self, times: int) -> int:
        """The exit code after so many of them."""
        for number in range(times):
            time.sleep(BETWEEN if number else 0)
            with suppress(ProcessLookupError):  # it has ended already
                os.killpg(self._process.pid, signal.SIGINT)
        return self._process.wait(PATIENCE)

    def made(self, kind: str, *options: str) -> list[str]:
        """What it has the engine make, of one kind: container, network, image."""
        command = ["docker", kind, "ls", *options, "--quiet", "--filter", f"label={RUN_LABEL}={self.run}"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()

    def processes(self) -> list[str]:
        """The command lines of those that belong to it, wherever they are in the tree."""
        found = []
        for process in Path("/proc").iterdir():
            with suppress(OSError):
                if f"{RUN_VARIABLE}={self.run}".encode() in (process / "environ").read_bytes().split(b"\0"):
                    found.append((process / "cmdline").read_text().replace("\0", " "))
        return found

    def left(self) -> dict[str, list[str]]:
        """Everything of it that is still there; empty where nothing is."""
        deadline = time.monotonic() + 10  # a process that is killed is gone a moment later
        while (processes := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.05)
        found = {
            "processes": processes,
            "containers": self.made("container", "--all"),
            "networks": self.made("network"),
            "images": self.made("image"),
            "files": [str(path) for path in self.temporary.iterdir()],
        }
        return {kind: names for kind, names in found.items() if names}


Start = Callable[..., Program]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    return lambda *arguments: Program(list(arguments), tmp_path)


def last_line(program: Program) -> str:
    return program.output().splitlines()[-1]


def test_nothing_is_left_of_a_verification_whose_tests_run(tiny: str, start: Start) -> None:
    program = start("build.py", "verify", tiny, "--profile", "tiny", "--workers", "3")
    program.eventually(lambda: len(program.made("container")) > 1, "containers of several tests")
    assert program.press_ctrl_c(3) == 130
    assert program.left() == {}
    assert (last_line(program), "Traceback" in program.output()) == ("Interrupted.", False)


def test_nothing_is_left_of_a_verification_that_pulls_its_image(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # a registry that never answers
        silent.settimeout(PATIENCE)
        program = start("build.py", "verify", f"127.0.0.1:{silent.getsockname()[1]}/some/image:1")
        connection, _ = silent.accept()
        with connection:
            assert program.press_ctrl_c(2) == 130
    assert program.left() == {}
    assert last_line(program) == "Interrupted."


def test_nothing_is_left_of_a_zoo_whose_images_are_tried(start: Start) -> None:
    program = start("-m", "tests.zoo", "exit-zero", "ping-204", "scratch-in-home")
    program.eventually(lambda: len(program.made("image")) > 2, "images of the zoo")
    program.eventually(lambda: program.made("container"), "a container of a test")
    assert program.press_ctrl_c(2) == 130
    assert program.left() == {}
    assert (last_line(program), "Traceback" in program.output()) == ("Interrupted.", False)


def test_nothing_is_left_of_a_job_that_is_killed(tiny: str, start: Start, data: Path, tmp_path: Path) -> None:
    options = ["--channel", f"train={data}", "--output", str(tmp_path / "jobs")]
    slow = ["--hyperparameter", "epochs=6000", "--hyperparameter", "pause=0.1", "--hosts", "2"]
    program = start("build.py", "train", tiny, *options, *slow)
    program.eventually(lambda: "epoch=" in program.output(), "a line of the job")
    assert program.press_ctrl_c(3) == 130
    assert program.left() == {}
    assert "Traceback" not in program.output()


@pytest.mark.parametrize("times", [1, 3])
def test_nothing_is_left_of_a_server_that_is_stopped(
    times: int, tiny: str, start: Start, tmp_path: Path
) -> None:
    (tmp_path / "model.json").write_text('{"mean": 5.0}')
    archive = tmp_path / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "model.json", "model.json")
    program = start("build.py", "serve", tiny, "--port", "0", "--model", str(archive))
    program.eventually(lambda: "Ready in" in program.output(), "a healthy server")
    assert program.press_ctrl_c(times) in {0, 130}
    assert program.left() == {}
    assert "Traceback" not in program.output()
