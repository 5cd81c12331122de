"""Sample weights of 0: such rows have no say, and no part in folds and splits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from opt_ml.errors import UserError

MODELS = {"models": "catboost,xgboost,extra_trees,random_forest,hist_gradient_boosting,linear"}


def table(weighted: int, rows: int = 60, classes: int = 0) -> pd.DataFrame:
    """`rows` rows of which the first `weighted` have the weight 1 and the others 0."""
    rng = np.random.default_rng(3)
    a = rng.normal(size=rows)
    y = np.arange(rows) % classes if classes else a * 2 + rng.normal(size=rows)
    return pd.DataFrame({"a": a, "b": rng.normal(size=rows), "w": np.arange(rows) < weighted, "y": y}).astype(
        {"w": int}
    )


@pytest.mark.parametrize("blend", ["weighted", "stacking"])
@pytest.mark.parametrize("classes", [0, 2, 3])
@pytest.mark.parametrize("k_fold", ["5", "0"])
def test_a_job_of_few_rows_with_a_weight_ends_with_a_model(job, capsys, classes, k_fold, blend):
    job.file("train", "rows.csv", table(12, classes=classes))
    job.run({"weight_column": "w", "k_fold": k_fold, "blend": blend, "num_round": 5, **MODELS})
    assert "train: 48 of 60 rows have the weight 0 and are left out." in capsys.readouterr().out
    assert job.metrics["train"]["rows"] in (12, 10, 9)  # without folds a part of the 12 is held out


def test_the_model_is_that_of_the_rows_with_a_weight_alone(job, new_job):
    settings = {"weight_column": "w", "models": "linear"}
    every, some = table(40), table(40)[:40].assign(w=1)
    some.loc[0, "w"] = every.loc[0, "w"] = 2  # one weight for all would make it a column of no use
    job.file("train", "rows.csv", every).run(settings)
    other = new_job().file("train", "rows.csv", some)
    other.run(settings)
    assert job.metrics == other.metrics


def test_too_few_rows_with_a_weight_are_told_as_such(job):
    job.file("train", "rows.csv", table(5))
    with pytest.raises(
        UserError, match="train channel has 5 rows with a label and a weight above 0; it needs"
    ):
        job.run({"weight_column": "w"})


def test_weights_above_0_only_where_the_label_is_empty_are_refused(job):
    frame = table(10)
    frame.loc[:9, "y"] = None
    job.file("train", "rows.csv", frame)
    with pytest.raises(UserError, match="Every row with a label has weight 0 in column 'w' of train"):
        job.run({"weight_column": "w"})


def test_a_class_without_any_weight_is_named_or_passed_over(job, new_job):
    frame = table(30, classes=2).assign(w=lambda rows: (rows["y"] == 0).astype(int))
    job.file("train", "rows.csv", frame)
    with pytest.raises(UserError, match="class 1 of the label 'y' has no row with a weight above 0"):
        job.run({"weight_column": "w"})
    frame = table(30, classes=3).assign(w=lambda rows: (rows["y"] != 1).astype(int))
    other = new_job().file("train", "rows.csv", frame)
    other.run({"weight_column": "w", "num_round": 5, **MODELS})
    assert other.model["schema"]["classes"] == [0, 1, 2]


def test_a_label_that_is_the_same_in_every_row_with_a_weight_is_told(job):
    frame = pd.DataFrame({"x": [1, 2] * 30, "y": [10.5, 20.5] * 30, "w": [1, 0] * 30})
    job.file("train", "rows.csv", frame)
    with pytest.raises(UserError, match="'y' has the same value in every row that has a weight"):
        job.run({"label": "y", "weight_column": "w", "objective": "regression"})
