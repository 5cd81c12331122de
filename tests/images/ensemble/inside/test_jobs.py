"""How a job begins and ends: hosts, channels, exit code, failure file."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import opt_ml_ensemble.train as trainer_module
import pytest
from opt_ml_ensemble import handler
from opt_ml_ensemble.train import train


def test_the_entry_points_lead_to_trainer_and_handler():
    assert [point.load() for point in entry_points(group="opt_ml.train")] == [train]
    assert [point.load() for point in entry_points(group="opt_ml.handler")] == [handler]


@pytest.mark.contract("TRAIN-75", "TRAIN-76")
def test_the_train_command_leaves_a_model_or_a_failure_file(job, new_job, mixed):
    def run(base: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "opt_ml.training.main"]
        environment = {**os.environ, "SAGEMAKER_BASE_DIR": str(base)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    job.file("train", "rows.csv", mixed[["size", "price"]]).environment({"models": "linear,xgboost"})
    done = run(job.base)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert (job.base / "model" / "model.json").exists()
    assert not (job.base / "output" / "failure").exists()

    bad = new_job().file("train", "rows.csv", "a,b\n1,2\n3\n")
    bad.environment()
    failed = run(bad.base)
    first_line = (bad.base / "output" / "failure").read_text().splitlines()[0]
    assert failed.returncode == 1
    assert first_line.startswith("train/rows.csv line 3 has 1 fields")
    assert "Traceback" not in failed.stderr
    assert not (bad.base / "model").exists()


def test_a_failure_while_saving_leaves_the_model_directory_empty(job, mixed, monkeypatch):
    def full_disk(*arguments: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(trainer_module, "write_report", full_disk)
    job.file("train", "rows.csv", mixed[["size", "price"]])
    with pytest.raises(OSError, match="no space"):
        job.run({"models": "linear"})
    assert not (job.base / "model").exists()


@pytest.mark.contract("TRAIN-45", "TRAIN-46")
def test_a_validation_channel_that_this_host_was_not_given_is_passed_over(job, mixed, capsys):
    job.file("train", "rows.csv", mixed[["size", "price"]])
    job.channels["validation"] = {"TrainingInputMode": "File"}
    job.run()
    assert "Channel validation is not used: it has no directory on this host." in capsys.readouterr().out
    assert job.metrics["validation"]["source"] == "out-of-fold"


def test_a_channel_of_another_program_is_not_used(job, mixed, capsys):
    job.file("train", "rows.csv", mixed[["size", "price"]]).file("sm_drivers", "sm_train.sh", "exit 1")
    job.run()
    assert "Channel sm_drivers is not used" in capsys.readouterr().out
