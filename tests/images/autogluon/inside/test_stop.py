"""`train` on a job that SIGTERM ends, and the same job again (TRAIN-92, TRAIN-95)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from opt_ml_autogluon.tabular import handler

STOPPED = 143
ENDLESS = {"num_epochs": 1_000_000, "epochs_wo_improve": 1_000_000}
LONG = {
    "hyperparameters": json.dumps(
        {"GBM": {"num_boost_round": 20}, "XGB": {"n_estimators": 20}, "NN_TORCH": ENDLESS}
    ),
    "verbosity": "2",
    "num_cpus": "1",
}


def stopped(job, after):
    """Run a job that gets SIGTERM at the first line that holds `after`; its exit code and log."""
    process = subprocess.Popen(
        [sys.executable, "-m", "opt_ml.training.main"],
        env={**os.environ, "SAGEMAKER_BASE_DIR": str(job.base), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines, sent = [], False
    assert process.stdout
    for line in process.stdout:
        lines.append(line)
        if after in line and not sent:
            sent = True
            process.send_signal(signal.SIGTERM)
    assert sent, "".join(lines)
    return process.wait(), "".join(lines)


@pytest.mark.contract("TRAIN-94", "TRAIN-95", "TRAIN-92")
def test_a_stopped_job_leaves_an_ensemble_of_what_is_whole_and_goes_on_from_it(job, mixed):
    job.file("train", "rows.csv", mixed[["size", "colour", "code", "price"]])
    (job.base / "checkpoints").mkdir()
    job.environment(LONG, fast=False)
    code, log = stopped(job, "Fitting model: NeuralNetTorch")
    assert code == STOPPED, log
    assert not (job.base / "output" / "failure").exists()
    assert job.metrics["stopped"] is True
    assert {model["model"].partition("_L")[0] for model in job.metrics["models"]} >= {"LightGBM", "XGBoost"}
    served = handler.model_fn(str(job.base / "model"))
    assert handler.predict_fn(handler.input_fn(b"50,red,2\n", "text/csv"), served)
    code, log = stopped(job, "Fitting model: NeuralNetTorch")
    assert code == STOPPED, log
    assert "LightGBM: from its checkpoint." in log
    assert "XGBoost: from its checkpoint." in log


@pytest.mark.contract("TRAIN-95")
def test_a_job_that_is_stopped_before_its_first_model_leaves_nothing(job, mixed):
    job.file("train", "rows.csv", mixed[["size", "price"]])
    job.environment({**LONG, "hyperparameters": json.dumps({"NN_TORCH": ENDLESS})})
    code, log = stopped(job, "Fitting model: NeuralNetTorch")
    assert code == STOPPED, log
    assert list(job.base.glob("model/*")) == []
    assert not (job.base / "output" / "failure").exists()


@pytest.mark.contract("TRAIN-92")
def test_a_job_again_with_its_own_checkpoints_ends_with_the_same_predictions(new_job, mixed):
    job = new_job().file("train", "rows.csv", mixed[["size", "colour", "code", "price"]])
    (job.base / "checkpoints").mkdir()
    answers = []
    for _ in range(2):
        served = handler.model_fn(str(job.run()))
        table = handler.input_fn(b"50,red,2\n33,blue,1\n", "text/csv")
        answers.append(handler.output_fn(handler.predict_fn(table, served), "text/csv")[0])
    assert answers[0] == answers[1]


@pytest.mark.contract("TRAIN-92")
def test_the_trial_of_stacking_leaves_no_checkpoint_that_the_fit_would_take(job, mixed, capfd):
    job.file("train", "rows.csv", mixed[["size", "colour", "code", "price"]])
    (job.base / "checkpoints").mkdir()
    stacked = {"num_bag_folds": "2", "num_stack_levels": "1", "dynamic_stacking": "true"}
    job.run({**stacked, "hyperparameters": '{"GBM": {"num_boost_round": 20}}'})
    assert "from its checkpoint" not in capfd.readouterr().out
    assert job.metrics["validation_rows"] == {"source": "out-of-fold", "rows": 200}
