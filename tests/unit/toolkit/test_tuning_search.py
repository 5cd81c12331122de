"""What the search proposes, by the real Optuna; and the rule that stops a job early."""

from __future__ import annotations

import math
from typing import Any

import pytest

from toolkit.jobs.training_job import TrainingJob
from toolkit.tuning_jobs.early_stopping import is_worse_than_median
from toolkit.tuning_jobs.tuning_job import Objective, Strategy, TuningJob
from toolkit.tuning_jobs.tuning_ranges import parse_range
from toolkit.tuning_jobs.tuning_search import Known, Search, Values

RANGES = ("rate=0.0001:1.0:log", "momentum=0.5:0.99:reverse-log", "depth=4:10", "booster=a,b,c")


def job(*ranges: str, minimize: bool = True, **changes: Any) -> TuningJob:
    usual: dict[str, Any] = {"training": TrainingJob(image="x"), "objective": Objective("rmse", minimize)}
    return TuningJob(ranges=tuple(parse_range(text) for text in ranges or RANGES), **{**usual, **changes})


def proposals(search: Search, count: int, objective: float | None = 1.0) -> list[Values]:
    found = []
    for number in range(1, count + 1):
        values = search.ask(number)
        if values is None:
            break
        search.tell(number, objective)
        found.append(values)
    return found


@pytest.mark.parametrize("strategy", ["Bayesian", "Random"])
def test_values_lie_in_their_ranges_and_are_text(strategy: Strategy) -> None:
    for values in proposals(Search(job(strategy=strategy)), 30):
        assert list(values) == ["rate", "momentum", "depth", "booster"]
        assert 0.0001 <= float(values["rate"]) <= 1
        assert 0.5 <= float(values["momentum"]) <= 0.99
        assert values["depth"] in {str(depth) for depth in range(4, 11)}
        assert values["booster"] in {"a", "b", "c"}


def test_a_logarithmic_range_is_searched_in_every_power_of_ten() -> None:
    rates = [float(values["rate"]) for values in proposals(Search(job(strategy="Random")), 40)]
    assert {math.floor(math.log10(rate)) for rate in rates} >= {-4, -3, -2, -1}


def test_a_reverse_logarithmic_range_is_searched_near_one() -> None:
    search = Search(job("x=0.0:0.999:reverse-log", strategy="Random"))
    near = [values for values in proposals(search, 40) if float(values["x"]) > 0.9]
    assert len(near) > 15  # two of three decades, 4 of 40 if it were linear


def test_the_same_seed_gives_the_same_jobs_and_another_one_others() -> None:
    first, again = (proposals(Search(job(seed=3)), 15) for _ in range(2))
    assert first == again
    assert proposals(Search(job(seed=4)), 15) != first


def test_no_job_comes_twice_and_the_search_ends_when_there_are_no_more() -> None:
    found = proposals(Search(job("depth=1:3", "booster=a,b")), 100)
    assert sorted((values["depth"], values["booster"]) for values in found) == [
        (depth, booster) for depth in "123" for booster in "ab"
    ]


@pytest.mark.parametrize("ranges", [("booster=a,b,c,d,e,f",), ("depth=1:20",), ("depth=1:3", "rate=0.5:0.5")])
@pytest.mark.parametrize("strategy", ["Bayesian", "Random"])
def test_a_search_for_as_many_jobs_as_there_are_values_finds_them_all(
    strategy: Strategy, ranges: tuple[str, ...]
) -> None:
    size = math.prod(parse_range(text).size for text in ranges)
    for seed in range(3):
        found = proposals(Search(job(*ranges, strategy=strategy, max_jobs=int(size), seed=seed)), 100)
        assert len({tuple(values.items()) for values in found}) == len(found) == size


def test_a_grid_is_every_combination_in_order() -> None:
    found = proposals(Search(job("depth=4,6", "booster=a,b", strategy="Grid")), 10)
    assert [tuple(values.values()) for values in found] == [("4", "a"), ("4", "b"), ("6", "a"), ("6", "b")]


@pytest.mark.parametrize("minimize", [True, False])
def test_a_bayesian_search_goes_where_the_objective_is_good(minimize: bool) -> None:
    search = Search(job("x=0.0:10.0", minimize=minimize, max_jobs=30))
    tried = []
    for number in range(1, 31):
        values = search.ask(number)
        assert values is not None
        tried.append(float(values["x"]))
        distance = (tried[-1] - 7) ** 2
        search.tell(number, distance if minimize else -distance)
    assert sum(abs(x - 7) < 1.5 for x in tried[10:]) > 10  # 6 of 20 if it were random


def test_a_failed_job_does_not_end_the_search() -> None:
    assert len(proposals(Search(job()), 12, objective=None)) == 12


def test_earlier_results_are_learnt_where_they_fit_the_ranges() -> None:
    fitting = [Known({"x": str(number / 4)}, abs(number / 4 - 7)) for number in range(40)]
    odd = [Known({"x": "11"}, 0.0), Known({"y": "7"}, 0.0), Known({"x": "text"}, 0.0)]
    search = Search(job("x=0.0:10.0", max_jobs=30), [*fitting, *odd])
    assert search.known == 40
    first = [float(values["x"]) for values in proposals(search, 10, objective=None)]
    assert sum(abs(x - 7) < 1.5 for x in first) > 6  # 3 of 10 if it had learnt nothing


def test_earlier_results_of_a_reverse_logarithmic_range_are_learnt() -> None:
    search = Search(job("x=0.5:0.99:reverse-log"), [Known({"x": "0.99"}, 1.0), Known({"x": "0.5"}, 1.0)])
    assert search.known == 2


def test_hyperband_stops_what_falls_behind_and_lets_the_best_run() -> None:
    search = Search(job("x=0.0:1.0", strategy="Hyperband", resources=(1, 9), max_jobs=40))
    stopped = {}
    for number in range(1, 41):
        assert search.ask(number) is not None
        worth = float(number % 10)
        stopped[number] = any(search.report(number, step, worth) for step in range(1, 10))
        search.tell(number, worth)
    assert not any(stopped[number] for number in (10, 20, 30, 40))
    assert sum(stopped.values()) > 5


@pytest.mark.contract("TRAIN-115")
@pytest.mark.parametrize(
    ("values", "minimize", "stop"),
    [
        ([9, 5.1], True, True),  # averages up to the second value: 4, 5, 6
        ([9, 4.9], True, False),
        ([9, 4.9], False, True),
        ([9, 5.1], False, False),
        ([9], True, False),  # a first value is not judged
        ([], True, False),
        ([9, 9, 9, 9], True, False),  # no job before has come so far
    ],
)
def test_a_job_is_stopped_when_worse_than_the_median_of_running_averages(
    values: list[float], minimize: bool, stop: bool
) -> None:
    previous = [[5.0, 3.0, 0.0], [6.0, 4.0, 0.0], [7.0, 5.0, 0.0]]
    assert is_worse_than_median(values, previous, minimize) is stop


def test_too_few_jobs_make_no_median() -> None:
    assert not is_worse_than_median([9, 9], [[1.0, 1.0], [1.0, 1.0], [1.0]], True)
