"""task=timeseries: networks beside the other models, and what is said where no model comes out."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import ClassVar

import pandas as pd
import psutil
import pytest
from autogluon.timeseries import TimeSeriesPredictor
from autogluon.timeseries.utils.constants import AG_DEFAULT_N_JOBS
from joblib.externals.loky import get_reusable_executor
from opt_ml.errors import UserError
from opt_ml_autogluon.timeseries import handler
from opt_ml_autogluon.train import train

from tests.images import jobs

STEPS = 3
NETWORK = {"DeepAR": {"max_epochs": 1, "num_batches_per_epoch": 1}}
# Processes of their own: in this one another test may have imported what networks need.
LEARN = """
import pathlib, sys
from opt_ml.environment import read_environment
from opt_ml_autogluon.train import train

train(read_environment(pathlib.Path(sys.argv[1])))
"""
FORECAST = """
import pathlib, sys
from opt_ml_autogluon.timeseries import handler

base = pathlib.Path(sys.argv[1])
table = handler.input_fn((base / "input/data/train/rows.csv").read_bytes(), "text/csv")
forecasts = handler.predict_fn(table, handler.model_fn(str(base / "model")))
print(handler.output_fn(forecasts, "application/json")[0].decode())
"""


class Job(jobs.Job):
    """A job of two series of 30 days."""

    train = staticmethod(train)
    fast: ClassVar[dict[str, str]] = {"task": "timeseries", "prediction_length": str(STEPS), "verbosity": "0"}


@pytest.fixture
def job(tmp_path):
    days = [str(day.date()) for day in pd.date_range("2026-01-01", periods=30)]
    rows = [(item, day, place % 7) for item in "ab" for place, day in enumerate(days)]
    return Job(tmp_path / "ml").file(
        "train", "rows.csv", pd.DataFrame(rows, columns=["item_id", "timestamp", "target"])
    )


def said_by(program, *arguments):
    command = [sys.executable, "-c", program, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.splitlines()[-1]


def processes_that_predict():
    """Those that joblib keeps; one that has ended has no command any more."""
    children = psutil.Process().children()
    return {child for child in children if "popen_loky" in str(child.as_dict(["cmdline"])["cmdline"])}


def refused(job, models, **more):
    with pytest.raises(UserError) as caught:
        job.run({"hyperparameters": json.dumps(models), **more})
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_network_is_learned_and_served(job):
    job.environment({"hyperparameters": json.dumps(NETWORK)})
    said_by(LEARN, job.base)
    assert [model["model"] for model in job.metrics["models"]] == ["DeepAR"]
    assert len(json.loads(said_by(FORECAST, job.base))["predictions"]) == 2 * STEPS


def test_processes_that_predict_run_before_the_time_limit_counts(job, monkeypatch):
    get_reusable_executor().shutdown()
    found = []
    fit = TimeSeriesPredictor.fit

    def look(self, *arguments, **more):
        found.append(processes_that_predict())
        fit(self, *arguments, **more)
        found.append(processes_that_predict())

    monkeypatch.setattr(TimeSeriesPredictor, "fit", look)
    job.run({"hyperparameters": json.dumps({"Naive": {}}), "time_limit": "60"})
    before, after = found
    assert after <= before, "the fit had to start some"
    assert bool(before) == (AG_DEFAULT_N_JOBS > 1), "with one CPU the models predict in the job's own process"


def test_models_that_predict_in_the_process_itself_start_no_other(job):
    before = processes_that_predict()
    job.run({"hyperparameters": json.dumps({"Naive": {"n_jobs": 1}})})
    assert processes_that_predict() <= before


@pytest.mark.parametrize("cpus", [1, 2])
def test_a_worker_of_one_cpu_starts_no_processes_for_a_forecast(job, monkeypatch, cpus):
    job.run({"hyperparameters": json.dumps({"Naive": {}})})
    get_reusable_executor().shutdown()
    monkeypatch.setenv("OMP_NUM_THREADS", str(cpus))
    before = processes_that_predict()
    model = handler.model_fn(str(job.base / "model"))
    table = handler.input_fn((job.base / "input/data/train/rows.csv").read_bytes(), "text/csv")
    assert len(handler.predict_fn(table, model).found) == 2 * STEPS
    assert bool(processes_that_predict() - before) == (cpus > 1 and AG_DEFAULT_N_JOBS > 1)


def test_models_that_the_time_limit_ended_ask_for_more_of_it(job):
    # AutoGluon does not begin with it when less than 15 s are left.
    message = refused(job, {"AutoCES": {}}, time_limit="5")
    assert message == "AutoGluon could fit no model. Give it more than time_limit 5 s."


def test_models_that_failed_do_not_blame_the_time_limit(job):
    message = refused(job, {"DeepAR": {"context_length": "long"}}, time_limit="60")
    assert "could fit no model. See the job's log. DeepAR: " in message
    assert "context_length value is not a valid integer" in message
    assert "time_limit" not in message


def test_models_that_the_job_leaves_out_itself_do_not_blame_the_time_limit(job):
    message = refused(job, {"Naive": {}}, excluded_model_types='["Naive"]', time_limit="60")
    assert "No model is left to fit" in message
    assert "time_limit" not in message
