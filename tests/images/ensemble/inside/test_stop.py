"""`train` on a job that SIGTERM ends: what is in the model directory, the log, the exit code (TRAIN-95)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from opt_ml_ensemble import progress as progress_module
from opt_ml_ensemble.bundle import load_bundle

STOPPED = 143
LONG = {"num_round": "100000", "eta": "0.0001", "early_stopping_rounds": "0", "nthread": "2"}
SHORT = {"num_round": "30", "k_fold": "2", "extra_trees.n_estimators": "10", "nthread": "2"}


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(rng.normal(size=(600, 4)), columns=list("abcd"))
    frame["kind"] = rng.choice(["u", "v"], 600)
    frame["y"] = 3 * frame["a"] + (frame["kind"] == "u") + rng.normal(0, 0.1, 600)
    return frame


class Stopped:
    """A job that got SIGTERM some seconds after a line of its log that begins with `after`."""

    def __init__(self, base: Path, after: str, seconds: float = 0.0) -> None:
        self.base = base
        process = subprocess.Popen(
            [sys.executable, "-m", "opt_ml.training.main"],
            env={**os.environ, "SAGEMAKER_BASE_DIR": str(base)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines = []
        assert process.stdout
        for line in process.stdout:
            self.lines.append(line.rstrip())
            if line.startswith(after) and process.poll() is None:
                time.sleep(seconds)
                process.send_signal(signal.SIGTERM)
        self.code = process.wait()
        assert any(line.startswith(after) for line in self.lines), "\n".join(self.lines)

    @property
    def metrics(self) -> dict:
        return json.loads((self.base / "model" / "metrics.json").read_text())

    def assert_servable(self, models: list[str]) -> None:
        bundle = load_bundle(self.base / "model")
        assert list(bundle.models) == models
        assert np.isfinite(bundle.predict(np.zeros((3, len(bundle.schema.used)), dtype=np.float32))).all()
        assert (
            json.loads((self.base / "model" / "model.json").read_text())["stopped"] == self.metrics["stopped"]
        )
        assert (self.base / "output" / "data" / "report.html").exists()


@pytest.mark.contract("TRAIN-94", "TRAIN-95")
def test_the_models_that_are_whole_make_the_ensemble(job, table):
    values = {
        **SHORT,
        "models": "linear,catboost,xgboost",
        "xgboost.num_round": "100000",
        "xgboost.eta": "0.0001",
    }
    values["early_stopping_rounds"] = "0"
    job.file("train", "rows.csv", table).environment(values, fast=False)
    stopped = Stopped(job.base, "catboost: fitted on all")
    assert stopped.code == STOPPED
    stopped.assert_servable(["linear", "catboost"])
    assert stopped.metrics["stopped"]["in"].startswith("xgboost-fold-0")
    assert stopped.metrics["stopped"]["missing"] == ["xgboost"]
    assert stopped.metrics["stopped"]["partial"] == []
    assert stopped.metrics["validation"]["source"] == "out-of-fold"
    assert any(line.startswith("Stopped in xgboost-fold-0") for line in stopped.lines)
    assert stopped.lines[-1] == f"Stopped with what was complete in {job.base}/model."
    assert not (job.base / "output" / "failure").exists()


@pytest.mark.contract("TRAIN-95")
@pytest.mark.parametrize("model", ["catboost", "xgboost"])
def test_without_folds_the_booster_serves_its_best_round_so_far(job, table, model):
    job.file("train", "rows.csv", table).environment({**LONG, "models": model, "k_fold": "0"}, fast=False)
    stopped = Stopped(job.base, "Validation: ", seconds=1.0)
    assert stopped.code == STOPPED
    stopped.assert_servable([model])
    assert stopped.metrics["stopped"]["partial"] == [model]
    assert stopped.metrics["validation"]["source"] == "split"
    assert (
        1 <= json.loads((job.base / "model" / "model.json").read_text())["models"][model]["rounds"] < 100_000
    )


@pytest.mark.contract("TRAIN-95")
@pytest.mark.parametrize("model", ["catboost", "xgboost"])
def test_in_the_first_fold_the_model_of_that_fold_is_measured_on_the_rows_held_out(job, table, model):
    job.file("train", "rows.csv", table).environment({**LONG, "models": model, "k_fold": "3"}, fast=False)
    stopped = Stopped(job.base, "3-fold cross-validation", seconds=1.0)
    assert stopped.code == STOPPED
    stopped.assert_servable([model])
    assert (stopped.metrics["validation"]["source"], stopped.metrics["validation"]["rows"]) == ("fold", 200)
    assert "train" not in stopped.metrics


@pytest.mark.contract("TRAIN-95")
def test_a_whole_fold_goes_before_a_fit_on_all_rows_that_was_cut_short(job, table):
    values = {**LONG, "models": "xgboost", "k_fold": "2", "num_round": "1500", "checkpoint_seconds": "1"}
    job.file("train", "rows.csv", table).environment(values, fast=False)
    stopped = Stopped(job.base, "validation-xgboost-fold-1")
    stopped.assert_servable(["xgboost"])
    assert stopped.metrics["validation"]["source"] == "fold"
    assert json.loads((job.base / "model" / "model.json").read_text())["models"]["xgboost"]["rounds"] == 1500


@pytest.mark.contract("TRAIN-95")
def test_nothing_trained_leaves_nothing(job, table):
    values = {"models": "extra_trees", "extra_trees.n_estimators": "10000", "nthread": "2"}
    job.file("train", "rows.csv", table).environment(values, fast=False)
    stopped = Stopped(job.base, "5-fold cross-validation")
    assert stopped.code == STOPPED
    assert stopped.lines[-1] == f"Stopped before a model was complete: nothing is in {job.base}/model."
    assert not (job.base / "model").exists()
    assert not (job.base / "output").exists()


@pytest.mark.contract("TRAIN-04", "TRAIN-94")
def test_a_signal_at_the_start_ends_the_job_before_it_reads_anything(job, table):
    """As soon as the process has a handler: PID 1 would not see the signal before."""
    job.file("train", "rows.csv", table).environment(SHORT, fast=False)
    process = subprocess.Popen(
        [sys.executable, "-m", "opt_ml.training.main"],
        env={**os.environ, "SAGEMAKER_BASE_DIR": str(job.base)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    caught = 0
    while not caught >> (signal.SIGTERM - 1) & 1:
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    process.send_signal(signal.SIGTERM)
    lines, errors = process.communicate()
    assert (process.returncode, lines) == (STOPPED, "")
    assert errors.splitlines()[-1] in {
        "Stopped before the job began.",
        f"Stopped before a model was complete: nothing is in {job.base}/model.",
    }
    assert "Traceback" not in errors
    assert not (job.base / "model").exists()
    assert not (job.base / "output").exists()


@pytest.mark.contract("TRAIN-95")
def test_a_signal_that_comes_when_all_models_are_whole_changes_nothing(job, table):
    job.file("train", "rows.csv", table).environment({**SHORT, "models": "linear,xgboost"}, fast=False)
    stopped = Stopped(job.base, "train-linear-rmse")
    assert stopped.code == 0
    assert "stopped" not in stopped.metrics
    assert list(load_bundle(job.base / "model").models) == ["linear", "xgboost"]
    assert "train" in stopped.metrics


@pytest.mark.contract("TRAIN-114")
def test_a_long_fit_tells_its_loss_on_the_way(job, table, capsys, monkeypatch):
    monkeypatch.setattr(progress_module, "LINE_SECONDS", 0.0)
    job.file("train", "rows.csv", table)
    job.run({"models": "catboost,xgboost", "num_round": "12", "k_fold": "2"}, fast=False)
    lines = capsys.readouterr().out.splitlines()
    for model in ("catboost", "xgboost"):
        for fold in (0, 1):
            told = [line for line in lines if line.startswith(f"validation-{model}-fold-{fold}-rmse:")]
            assert [line.partition("; ")[2] for line in told[:-1]] == [
                f"after {n} rounds" for n in range(1, 13)
            ]
            assert told[-1].partition("; ")[2].startswith("12 rounds, ")
            losses = [float(line.partition(":")[2].partition(";")[0]) for line in told]
            assert losses[-1] == pytest.approx(losses[-2], rel=1e-4)


@pytest.mark.contract("TRAIN-114")
def test_lines_on_the_way_are_few(job, table, capsys):
    job.file("train", "rows.csv", table).run({"models": "catboost,xgboost", "num_round": "12"}, fast=False)
    assert "after" not in capsys.readouterr().out
