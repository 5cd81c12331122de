"""Two hosts of one job by torchrun, really run: the curve of one host, and again after both were killed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.images.pytorch.conftest import EXAMPLES, RunJob
from toolkit.building import images
from toolkit.jobs.job import Channel, JobResult, TrainingJob, execute, plan

CODE = EXAMPLES / "digits" / "code"
ALONE = {"epochs": "6", "batch-size": "64"}
TOGETHER = {"epochs": "6", "batch-size": "32", "sagemaker_torch_distributed_enabled": "true"}
# train.py of the example, on instances that are taken away without notice: in the fourth epoch, whose first
# batch is learned and not kept, every process of a host is killed but `train` itself, on both hosts.
TAKEN_AWAY = """
import os, signal
import train

cross_entropy, batches = train.nn.functional.cross_entropy, 0

def counted(*arguments):
    global batches
    batches += 1
    if batches == 3 * 3 + 2:
        os.kill(-1, signal.SIGKILL)  # all but this one and the first of the container
        os.kill(os.getpid(), signal.SIGKILL)
    return cross_entropy(*arguments)

train.nn.functional.cross_entropy = counted
train.main()
"""

Train = Callable[..., JobResult]


@pytest.fixture
def channels(digits: Path) -> dict[str, Path]:
    """Of an even number of pictures, so that both halves of a batch are as large."""
    return {"train": digits / "held-out"}


@pytest.fixture
def alone(our_image: images.Image, run_job: RunJob, channels: dict[str, Path]) -> list[float]:
    """The losses of one host with the joined batch."""
    return losses(run_job(our_image, CODE, "train.py", channels, name="one-host", hyperparameters=ALONE))


def losses(result: JobResult) -> list[float]:
    return [float(loss) for loss in re.findall(r"train-loss=([0-9.]+)", result.log.read_text())]


@pytest.mark.contract("TT-70", "TT-73", "TT-78")
def test_two_hosts_with_half_the_batch_learn_as_one(our_image, run_job, channels, alone):
    usual = {"name": "two-hosts", "hosts": 2, "hyperparameters": TOGETHER}
    both = losses(run_job(our_image, CODE, "train.py", channels, **usual))
    assert len(alone) == len(both) == 6
    assert np.allclose(alone, both, atol=2e-3)


@pytest.mark.contract("TRAIN-92", "TRAIN-96", "TT-78")
def test_two_hosts_that_were_killed_go_on_with_the_same_curve(our_image, run_job, channels, alone, tmp_path):
    shutil.copytree(CODE, tmp_path / "code")
    (tmp_path / "code" / "taken_away.py").write_text(TAKEN_AWAY)
    usual = {"hosts": 2, "hyperparameters": TOGETHER, "checkpoint_dir": tmp_path / "checkpoints"}
    job = TrainingJob(
        our_image.reference,
        tuple(Channel(name, source) for name, source in channels.items()),
        name="taken-away",
        source_dir=tmp_path / "code",
        entry_point="taken_away.py",
        jobs_dir=tmp_path / "jobs",
        **usual,
    )
    killed = execute(plan(job))
    assert killed.status == "Failed"
    resumed = run_job(our_image, CODE, "train.py", channels, name="goes-on", **usual)
    assert resumed.log.read_text().count("Goes on after epoch 2.") == 2, "a host did not find the checkpoint"
    assert resumed.model
    assert [len(losses(killed)), len(losses(resumed))] == [3, 3]
    assert np.allclose(alone, losses(killed) + losses(resumed), atol=2e-3)
