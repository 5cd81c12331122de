"""Metrics in a log, and the log followed line by line."""

from __future__ import annotations

import pytest

from toolkit.jobs.job_log import find_metrics


@pytest.mark.contract("TRAIN-110", "TRAIN-111")
@pytest.mark.parametrize(
    ("line", "metrics"),
    [
        ("validation-rmse:54.1;", {"validation-rmse": 54.1}),
        ("validation:rmse=54.1;", {"validation:rmse": 54.1}),
        ("a=1; b: -2.5e-3; c=.5;", {"a": 1.0, "b": -2.5e-3, "c": 0.5}),
        ("loss=0.5", {}),
        ("loss=half;", {}),
        ("06:12:01 [info] epoch 3 train-auc:0.9;", {"train-auc": 0.9}),
    ],
)
def test_metrics_are_found_where_a_semicolon_ends_the_number(line: str, metrics: dict[str, float]) -> None:
    assert find_metrics([line]) == metrics


def test_the_last_value_of_a_metric_counts() -> None:
    assert find_metrics(["rmse:3;", "rmse:2;"]) == {"rmse": 2.0}


@pytest.mark.contract("TRAIN-110")
def test_a_metric_that_the_job_defines_is_what_its_first_group_matches() -> None:
    lines = ["loss = 0.5 after step 1", "loss = nan after step 2, rmse=2;", "loss = none"]
    assert find_metrics(lines, {"loss": r"loss = (\S+)", "rmse": r"step (\d)"}) == {"loss": 0.5, "rmse": 2.0}
