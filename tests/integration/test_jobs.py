"""Training jobs in real containers of the tiny image."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration import tiny_image
from toolkit.errors import ToolkitError
from toolkit.jobs.job import Channel, JobResult, TrainingJob, execute, plan
from toolkit.machine.containers import LABEL, engine
from toolkit.namespace import LOCAL_NAMESPACE

Train = Callable[..., JobResult]


def leftovers(kind: str, purpose: str) -> str:
    """Names of the containers or networks that carry the label."""
    command = ["docker", kind, "ls", "--format", "{{.ID}}", "--filter", f"label={LABEL}={purpose}"]
    command += ["--all"] if kind == "container" else []
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def make(tiny: str, data: Path, tmp_path: Path) -> Callable[..., TrainingJob]:
    def make_job(**changes: Any) -> TrainingJob:
        usual = {
            "image": tiny,
            "name": "a-job",
            "channels": (Channel("train", data),),
            "jobs_dir": tmp_path / "jobs",
        }
        return TrainingJob(**{**usual, **changes})

    return make_job


@pytest.fixture
def train(make: Callable[..., TrainingJob]) -> Train:
    return lambda **changes: execute(plan(make(**changes)))


def test_a_completed_job_has_model_output_metrics_log_and_record(train: Train, tmp_path: Path) -> None:
    result = train()
    directory = tmp_path / "jobs" / "a-job"
    assert (result.status, result.exit_code, result.failure_reason) == ("Completed", 0, None)
    assert result.model == directory / "model.tar.gz"
    assert result.output == directory / "output.tar.gz"
    assert result.metrics == {"epoch": 0.0, "train-mean": 5.0}
    assert "algo-1  epoch=0; train-mean:5.0;" in result.log.read_text()
    assert json.loads((directory / "result.json").read_text())["TrainingJobStatus"] == "Completed"
    assert result.summary().startswith("Completed in ")
    assert "model.tar.gz (" in result.summary()


@pytest.mark.contract("TRAIN-75", "TRAIN-76")
def test_a_failed_job_gives_its_reason_first_and_then_the_log(train: Train) -> None:
    result = train(hyperparameters={"epocs": "1"})
    assert (result.status, result.exit_code, result.model) == ("Failed", 1, None)
    assert result.failure_reason == "Hyperparameter epocs is unknown. Known are epochs, pause, scale."
    reason, ending = result.summary().splitlines()
    assert reason == result.failure_reason
    assert str(result.log) in ending


@pytest.mark.contract("TRAIN-75")
def test_the_reason_is_cut_at_1024_characters(train: Train) -> None:
    result = train(hyperparameters={f"{number:0200}": "1" for number in range(10)}, name="long-reason")
    failure = (result.host_dir / "output" / "failure").read_text()
    assert len(failure) > 1024
    assert result.failure_reason == failure[:1024]


def test_a_failure_without_a_file_is_told_by_its_exit_code(make: Callable[..., TrainingJob]) -> None:
    with tiny_image.variant("no-failure-file", "ENV FAULT=no-failure-file") as image:
        result = execute(plan(replace(make(hyperparameters={"epocs": "1"}), image=image)))
    assert result.status == "Failed"
    assert "exit code 1" in str(result.failure_reason)


def test_the_job_is_removed_with_its_network(train: Train) -> None:
    train(name="removed")
    assert leftovers("container", "removed") == leftovers("network", "removed") == ""


def test_the_job_is_removed_when_the_caller_breaks(make: Callable[..., TrainingJob]) -> None:
    def fail(line: str) -> None:
        raise BrokenPipeError(line)

    with pytest.raises(BrokenPipeError):
        execute(plan(make(name="broken", hyperparameters={"epochs": "100", "pause": "1"})), on_line=fail)
    assert leftovers("container", "broken") == leftovers("network", "broken") == ""


@pytest.mark.contract("TRAIN-94")
def test_one_interrupt_stops_the_job_with_sigterm(make: Callable[..., TrainingJob]) -> None:
    seen: list[str] = []

    def interrupt(line: str) -> None:
        seen.append(line)
        if len(seen) == 1:
            raise KeyboardInterrupt

    result = execute(plan(make(hyperparameters={"epochs": "600", "pause": "0.1"})), on_line=interrupt)
    assert (result.status, result.exit_code) == ("Stopped", 143)
    assert any("SIGTERM now, SIGKILL in 120 s" in line for line in seen)


@pytest.mark.contract("TRAIN-94")
def test_a_second_interrupt_kills_a_job_that_does_not_listen(make: Callable[..., TrainingJob]) -> None:
    seen: list[str] = []

    def interrupt(line: str) -> None:
        seen.append(line)
        if sum("epoch" in text for text in seen) in {1, 3} and "epoch" in line:
            raise KeyboardInterrupt

    with tiny_image.variant("deaf", "ENV FAULT=ignores-sigterm") as image:
        job = replace(make(hyperparameters={"epochs": "600", "pause": "0.1"}), image=image)
        result = execute(plan(job), on_line=interrupt)
    assert (result.status, result.exit_code) == ("Stopped", 137)


def test_an_interrupt_after_the_end_changes_nothing(make: Callable[..., TrainingJob]) -> None:
    with tiny_image.variant("late", "ENV FAULT=buffers-lines") as image:
        job = replace(make(), image=image)

        def interrupt(line: str) -> None:
            if "epoch" in line:
                time.sleep(1)  # its only line leaves the container together with its end
                raise KeyboardInterrupt

        result = execute(plan(job), on_line=interrupt)
    assert (result.status, result.exit_code) == ("Completed", 0)


@pytest.mark.contract("TRAIN-02")
def test_an_image_without_a_train_program_is_explained(
    make: Callable[..., TrainingJob], tmp_path: Path
) -> None:
    with (
        tiny_image.variant("pathless", "ENV PATH=/nowhere") as image,
        pytest.raises(ToolkitError, match='no executable "train"'),
    ):
        execute(plan(replace(make(), image=image)))
    assert not (tmp_path / "jobs" / "a-job").exists(), "the name must be free for the next try"


def test_an_image_that_is_not_there_leaves_no_directory(
    make: Callable[..., TrainingJob], tmp_path: Path
) -> None:
    with pytest.raises(ToolkitError, match="make build-no-such"):
        execute(plan(make(image=f"{LOCAL_NAMESPACE}/no-such:latest")))
    assert not (tmp_path / "jobs").exists()


def test_a_name_that_was_used_is_not_used_again(train: Train) -> None:
    train()
    with pytest.raises(ToolkitError, match="exists already"):
        train()


def test_files_of_the_container_are_given_to_their_caller(train: Train, tiny: str) -> None:
    result = train()
    engine().change_owner(tiny, result.host_dir.absolute(), 31415, 27182)
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in (result.host_dir / "model").rglob("*")}
    assert owners == {(31415, 27182)}
    engine().change_owner(tiny, result.host_dir.absolute(), os.geteuid(), os.getegid())


@pytest.mark.contract("TRAIN-42")
def test_the_host_name_of_the_job_resolves_and_is_not_the_machines_own(
    make: Callable[..., TrainingJob],
) -> None:
    made = plan(make(name="names"))
    script = "import socket; print(socket.gethostname(), socket.gethostbyname('algo-1'))"
    spec = replace(made.run, entrypoint=("python3",), command=("-c", script), binds=())
    with engine().private_network(spec), engine().run(spec) as container:
        (line,) = container.lines()
    name, address = line.split()
    assert name != "algo-1"
    assert address.count(".") == 3


@pytest.mark.contract("TRAIN-24", "TRAIN-42")
def test_an_isolated_host_finds_itself_by_its_name(make: Callable[..., TrainingJob]) -> None:
    script = "import socket; print(socket.gethostbyname('algo-1'))"
    spec = replace(plan(make(isolated=True)).run, entrypoint=("python3",), command=("-c", script), binds=())
    with engine().run(spec) as container:
        assert list(container.lines()) == ["127.0.0.1"]


@pytest.mark.contract("TRAIN-82")
def test_shared_memory_is_larger_than_dockers_64_megabytes(make: Callable[..., TrainingJob]) -> None:
    script = "import os; print(os.statvfs('/dev/shm').f_blocks * os.statvfs('/dev/shm').f_frsize)"
    made = plan(make(isolated=True, memory=512 * 2**20))
    spec = replace(made.run, entrypoint=("python3",), command=("-c", script), binds=())
    with engine().run(spec) as container:
        assert list(container.lines()) == [str(256 * 2**20)]


def test_long_lines_and_a_last_line_without_an_end_arrive_whole(make: Callable[..., TrainingJob]) -> None:
    script = "print('x' * 50_000); print('end', end='')"
    spec = replace(plan(make(isolated=True)).run, entrypoint=("python3",), command=("-c", script), binds=())
    with engine().run(spec) as container:
        assert list(container.lines()) == ["x" * 50_000, "end"]
