"""Metrics in a log, and the log followed line by line."""

from __future__ import annotations

import pytest

from toolkit.job_log import Follower, find_metrics


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


def test_an_interrupt_between_two_lines_loses_no_line() -> None:
    seen: list[str] = []
    interrupts: list[None] = []

    def on_line(line: str) -> None:
        seen.append(line)
        if line == "one":
            raise KeyboardInterrupt

    Follower(["one", "two", "three"]).follow(on_line, lambda: interrupts.append(None))
    assert seen == ["one", "two", "three"]
    assert len(interrupts) == 1


def test_what_breaks_the_reading_reaches_the_caller() -> None:
    def lines():  # type: ignore[no-untyped-def]
        yield "one"
        raise ConnectionResetError("the engine went away")

    seen: list[str] = []
    with pytest.raises(ConnectionResetError, match="went away"):
        Follower(lines()).follow(seen.append, lambda: None)
    assert seen == ["one"]
