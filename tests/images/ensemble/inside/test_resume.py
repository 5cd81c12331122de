"""A job that is interrupted and goes on from its checkpoints ends with the model of one that was not."""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from opt_ml.errors import UserError
from opt_ml.training import stopping
from opt_ml.training.checkpoints import Checkpoints
from opt_ml_ensemble.bundle import load_bundle
from opt_ml_ensemble.progress import FitProgress, Progress

ALL_MODELS = "catboost,xgboost,extra_trees,random_forest,hist_gradient_boosting,linear"
KILLS = 10


def assert_same_model(one: Path, other: Path) -> None:
    """Predictions of each model and of the blend bit by bit, metrics, and XGBoost's file byte by byte."""
    first, second = load_bundle(one), load_bundle(other)
    assert first.schema == second.schema
    assert first.blend.weights == second.blend.weights
    matrix = np.random.default_rng(1).normal(50, 20, (500, len(first.schema.used))).astype(np.float32)
    matrix[:, list(first.schema.categorical)] = np.arange(500)[:, None] % 3
    matrix[::7, 0] = np.nan
    for name, predicted in first.predict_each(matrix).items():
        np.testing.assert_array_equal(second.models[name].predict(matrix), predicted, err_msg=name)
    np.testing.assert_array_equal(first.predict(matrix), second.predict(matrix))
    assert (one / "metrics.json").read_text() == (other / "metrics.json").read_text()
    if "xgboost" in first.models:
        assert (one / "xgboost.ubj").read_bytes() == (other / "xgboost.ubj").read_bytes()


class Killed(BaseException):
    pass


def interrupt_after(monkeypatch: pytest.MonkeyPatch, polls: int, stop: bool) -> None:
    """The job ends after so many questions of its models: by SIGTERM's flag, or as if killed."""
    asked = 0
    monkeypatch.setattr(stopping._State, "arrived", False)  # and so again when this is undone

    def stops(progress: FitProgress) -> bool:
        nonlocal asked
        asked += 1
        if asked > polls and not stop:
            raise Killed
        if asked > polls:
            stopping._State.arrived = True
        return stopping.requested()

    monkeypatch.setattr(FitProgress, "stops", property(stops))


def run_interrupted(job, monkeypatch, hyperparameters, polls: int, stop: bool) -> None:
    with monkeypatch.context() as patched:
        interrupt_after(patched, polls, stop)
        with pytest.raises((Killed, stopping.Stopped, UserError)):  # CatBoost wraps whatever is raised
            job.run(hyperparameters)


@pytest.mark.contract("TRAIN-92", "TRAIN-95")
@pytest.mark.parametrize("label", ["price", "dear", "band"])
@pytest.mark.parametrize("k_fold", ["0", "3"])
def test_a_stopped_job_goes_on_to_the_same_model(new_job, mixed, label, k_fold, monkeypatch):
    columns = ["size", "colour", "code", label]
    frame = mixed[columns].assign(importance=np.arange(len(mixed)) % 5 + 0.5)
    values = {"models": ALL_MODELS, "k_fold": k_fold, "label": label, "weight_column": "importance"}
    whole, stopped = (new_job().file("train", "rows.csv", frame) for _ in range(2))
    whole.run(values)
    (stopped.base / "checkpoints").mkdir()
    for polls in (27, 30, 32):
        run_interrupted(stopped, monkeypatch, values, polls, stop=True)
    assert_same_model(whole.base / "model", stopped.run(values))


@pytest.mark.contract("TRAIN-92", "TRAIN-98")
@pytest.mark.parametrize("model", ["catboost", "xgboost"])
@pytest.mark.parametrize("patience", ["0", "5"])
def test_a_fit_goes_on_from_its_last_checkpoint_after_a_kill(
    new_job, mixed, model, patience, monkeypatch, capsys
):
    """Early stopping remembers its best round; the learning curve has every round once."""
    values = {
        "models": model,
        "num_round": "400",
        "eta": "0.3",
        "early_stopping_rounds": patience,
        "k_fold": "2",
    }
    frame = mixed[["size", "colour", "price"]]
    whole, killed = (new_job().file("train", "rows.csv", frame) for _ in range(2))
    whole.run(values)
    report = (whole.base / "model" / "report.html").read_text()
    (killed.base / "checkpoints").mkdir()
    monkeypatch.setattr(FitProgress, "seconds", property(lambda progress: 0))
    monkeypatch.setattr(FitProgress, "due", property(lambda progress: progress.keeps))
    for polls in (25, 31) if patience == "0" else (12, 12):
        run_interrupted(killed, monkeypatch, values, polls, stop=False)
    capsys.readouterr()
    assert_same_model(whole.base / "model", killed.run(values))
    assert re.search(
        rf"{model}-fold-\d: goes on after \d+ rounds, from its checkpoint.", capsys.readouterr().out
    )
    svg = re.compile(r"<figure><h3>(?:catboost|xgboost)</h3>.*?</figure>", re.DOTALL)
    ids = re.compile(r"chart-[0-9a-f-]+|id=\"[^\"]+\"")
    curves = [ids.sub("", found) for found in svg.findall(report)]
    again = [ids.sub("", found) for found in svg.findall((killed.base / "model" / "report.html").read_text())]
    assert curves == again
    assert len(curves) == 1


@pytest.mark.contract("TRAIN-92", "TRAIN-93")
def test_a_fit_whose_result_finds_no_room_keeps_the_state_on_the_way_to_it(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path, "ensemble", {"data": "a"})
    of_fit = Progress(checkpoints).of("xgboost-fold-0")
    of_fit.keep({"rounds": 20}, {"xgboost.ubj": b"trees"})

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        of_fit.finish({"rounds": 40}, {"predicted.npy": b"much"})
    again = Progress(Checkpoints(tmp_path, "ensemble", {"data": "a"})).of("xgboost-fold-0")
    assert again.finished() is None
    assert again.so_far().facts == {"rounds": 20}


def train_for(base: Path, seconds: float | None = None) -> subprocess.CompletedProcess[str]:
    """The `train` command on a job, killed without notice after so many seconds."""
    process = subprocess.Popen(
        [sys.executable, "-m", "opt_ml.training.main"],
        env={**os.environ, "SAGEMAKER_BASE_DIR": str(base)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        out, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, errors = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


def finished_fits(log: str) -> tuple[set[str], set[str]]:
    """The fits that a log tells as finished: those done in this run, those from their checkpoints."""
    found = re.findall(r"^(?:validation-(\S+-fold-\d)-rmse:.*|(\w+): fitted on all .*)$", log, re.MULTILINE)
    lines = re.findall(r"^(?:validation-\S+-fold-\d-rmse:|\w+: fitted on all ).*$", log, re.MULTILINE)
    fits = [
        (fold or model, "from its checkpoint" in line)
        for (fold, model), line in zip(found, lines, strict=True)
    ]
    return {fit for fit, kept in fits if not kept}, {fit for fit, kept in fits if kept}


@pytest.mark.contract("TRAIN-92", "TRAIN-93", "TRAIN-98")
def test_a_job_killed_at_random_moments_ten_times_over_loses_nothing(new_job):
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(rng.normal(size=(4000, 12)), columns=[f"x{i}" for i in range(12)])
    frame["kind"] = rng.choice(["a", "b", "c"], len(frame))
    frame["y"] = (
        frame["x0"] * 2 + np.sin(frame["x1"] * 3) + (frame["kind"] == "a") + rng.normal(size=len(frame))
    )
    whole, killed = (new_job().file("train", "rows.csv", frame) for _ in range(2))
    for job in (whole, killed):
        job.environment(
            {"num_round": "250", "k_fold": "3", "checkpoint_seconds": "1", "extra_trees.n_estimators": "50"},
            fast=False,
        )
    (killed.base / "checkpoints").mkdir()
    started = time.monotonic()
    assert train_for(whole.base).returncode == 0
    seconds = time.monotonic() - started

    moments = random.Random(7)
    done: set[str] = set()
    for _ in range(KILLS):
        run = train_for(killed.base, seconds * moments.uniform(0.1, 0.45))
        assert run.returncode in (0, -signal.SIGKILL), run.stderr
        if (killed.base / "model" / "model.json").exists():  # so much was kept that the rest was done in time
            assert_same_model(whole.base / "model", killed.base / "model")
            shutil.rmtree(killed.base / "model")
        now, _ = finished_fits(run.stdout)
        assert not now & done, "finished work was repeated"
        done |= now
    last = train_for(killed.base)
    assert last.returncode == 0, last.stderr
    now, kept = finished_fits(last.stdout)
    assert not now & done
    assert kept >= done
    assert len(now | kept) == 4 * (3 + 1)
    assert_same_model(whole.base / "model", killed.base / "model")
