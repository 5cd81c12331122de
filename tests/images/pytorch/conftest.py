"""Jobs of the examples, each by the commands of its README."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.images.built import built
from toolkit.building import images
from toolkit.jobs.job import Channel, JobResult, TrainingJob, execute, plan

EXAMPLES = images.ROOT / "examples"

RunJob = Callable[..., JobResult]


@pytest.fixture(scope="session")
def full_image(our_image: images.Image) -> images.Image:
    """pytorch-full-cpu; not built where no image of PyTorch is tested."""
    return built("pytorch-full-cpu")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The channels that the README of examples/digits makes."""
    directory = tmp_path_factory.mktemp("digits")
    run_inside(built("ensemble-cpu"), EXAMPLES / "digits", "prepare.py", directory)
    return directory


@pytest.fixture
def run_job(tmp_path: Path) -> RunJob:
    """Run a script of an example as a job, which must complete."""

    def run(
        image: images.Image, code: Path, program: str, channels: Mapping[str, Path], **changes: Any
    ) -> JobResult:
        job = TrainingJob(
            image.reference,
            tuple(Channel(name, source) for name, source in channels.items()),
            source_dir=code,
            entry_point=program,
            jobs_dir=tmp_path / "jobs",
            **changes,
        )
        result = execute(plan(job))
        assert result.status == "Completed", result.summary() + "\n" + result.log.read_text()
        return result

    return run


def run_inside(image: images.Image, example: Path, program: str, output: Path) -> None:
    """Run a program of an example in an image, without a network; it writes into `output`."""
    mounts = ["-v", f"{example}:/example:ro", "-v", f"{output}:/data"]
    command = ["python", f"/example/{program}", "/data"]
    subprocess.run(
        ["docker", "run", "--rm", "--network", "none", *mounts, image.reference, *command], check=True
    )
