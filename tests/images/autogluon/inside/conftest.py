"""Jobs on small tables under a temporary /opt/ml; they run wherever the image's packages are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from opt_ml_autogluon.train import train

from tests.images import jobs

# Two small models: these tests are about what happens, not about the last percent.
FAST = {
    "hyperparameters": json.dumps({"GBM": {"num_boost_round": 20}, "XGB": {"n_estimators": 20}}),
    "feature_importance": "false",
    "verbosity": "0",
    "num_cpus": "1",  # of a busy machine: threads that wait for each other take seconds instead of moments
}


class Job(jobs.Job):
    """A job of AutoGluon."""

    train = staticmethod(train)
    fast = FAST


@pytest.fixture(scope="session")
def job_class() -> type[Job]:
    return Job


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "ml")


@pytest.fixture
def new_job(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return lambda: Job(tmp_path_factory.mktemp("ml"))


@pytest.fixture(scope="session")
def mixed() -> pd.DataFrame:
    return jobs.mixed_rows()
