"""Jobs on real data under a temporary /opt/ml; they run wherever the image's packages are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from opt_ml_ensemble.train import train

from tests.images import jobs

# Few rounds and trees: these tests are about what happens, not about the last percent.
FAST = {
    "num_round": "40",
    "extra_trees.n_estimators": "20",
    "random_forest.n_estimators": "20",
    "k_fold": "3",
}


class Job(jobs.Job):
    """A job of the ensemble."""

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
    """The rows that every family has, with an empty column and an identifier."""
    frame = jobs.mixed_rows()
    place = frame.columns.get_loc("price")
    frame.insert(place, "nothing", np.nan)
    frame.insert(place + 1, "id", [f"row-{number}" for number in range(len(frame))])
    return frame
