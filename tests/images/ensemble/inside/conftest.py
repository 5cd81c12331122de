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
    """200 rows: numbers and texts with gaps, a constant, an empty column, an identifier; three labels."""
    rng = np.random.default_rng(7)
    rows = 200
    size = rng.normal(50, 10, rows)
    colour = rng.choice(["red", "green", "blue"], rows, p=[0.5, 0.3, 0.2])
    price = (
        2 * size
        + np.select([colour == "red", colour == "green"], [20.0, -20.0], 0.0)
        + rng.normal(0, 3, rows)
    )
    return pd.DataFrame(
        {
            "size": np.where(rng.random(rows) < 0.1, np.nan, size),
            "colour": np.where(rng.random(rows) < 0.1, None, colour),
            "code": rng.integers(1, 5, rows),
            "always": 1,
            "nothing": np.nan,
            "id": [f"row-{number}" for number in range(rows)],
            "price": price,
            "dear": np.where(price > 100, "yes", "no"),
            "band": np.digitize(price, [90, 110]),
        }
    )
