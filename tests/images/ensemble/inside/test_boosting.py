"""XGBoost on several processes, against the same fit in one; see `opt_ml_ensemble.boosting`."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import xgboost
from opt_ml_ensemble.boosting import Fit, LocalRounds, coarse, find_cuts
from opt_ml_ensemble.hosts.files import Remote
from opt_ml_ensemble.hosts.process import BoostingProcess
from opt_ml_ensemble.hosts.team import Team
from opt_ml_ensemble.schema import Data

OBJECTIVES = {"reg:squarederror": "rmse", "binary:logistic": "logloss", "multi:softprob": "mlogloss"}


@pytest.fixture(scope="module")
def team():
    """A leader and two others, without the programs between them."""
    processes = [BoostingProcess() for _ in range(3)]
    environment = SimpleNamespace(channels={}, current_host="a", hosts=("a", "b", "c"))
    made = Team(environment, 10, boosts=False)
    made._remotes = [Remote(name, one.link, {}) for name, one in zip("bc", processes[1:], strict=True)]
    made._process = processes[0]
    yield made
    for process in processes:
        process.end()


def rows(count: int, objective: str, weighted: bool = False, seed: int = 0) -> Data:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(count, 6)).astype(np.float32)
    matrix[rng.random((count, 6)) < 0.05] = np.nan
    matrix[:, 3] = rng.integers(0, 6, count)
    matrix[:, 4] = 7.5
    label = 3 * np.nan_to_num(matrix[:, 0]) - np.nan_to_num(matrix[:, 1]) ** 2 + (matrix[:, 3] == 2)
    if objective != "reg:squarederror":
        label = np.digitize(label, [0.0] if objective == "binary:logistic" else [-1.5, 1.0]).astype(np.int64)
    return Data(matrix, label, rng.random(count) + 0.1 if weighted else None)


def fit_of(objective: str, **options: object) -> Fit:
    usual = {
        "objective": objective,
        "eval_metric": OBJECTIVES[objective],
        "tree_method": "hist",
        "max_depth": 4,
        "max_bin": 256,
        "eta": 0.2,
        "colsample_bytree": 0.8,
        "seed": 3,
        "seed_per_iteration": True,
        "nthread": 1,
    }
    if objective == "multi:softprob":
        usual["num_class"] = 3
    return Fit({**usual, **options}, ["q", "q", "q", "c", "q", "q"], 0.8)


def boosted(rounds, count: int, watched: bool) -> list[tuple[float, float]]:
    losses = []
    for number in range(rounds.rounds, rounds.rounds + count):
        if number % 10 == 0:
            rounds.forget()
        rounds.update(number)
        if watched:
            losses.append(rounds.losses(number))
    return losses


def assert_same(one: bytes, other: bytes, data: Data) -> None:
    found = [
        xgboost.Booster(model_file=bytearray(raw)).inplace_predict(data.matrix, validate_features=False)
        for raw in (one, other)
    ]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("weighted", [False, True])
def test_three_processes_grow_the_trees_of_one(team, objective, weighted):
    # More different values in a column than any sketch keeps, so that merged sketches would differ.
    train, watched = rows(20_000, objective, weighted), rows(2_000, objective, weighted, seed=1)
    fit = fit_of(objective)
    one, several = LocalRounds(fit, train, watched), team.boost(fit, train, watched)
    np.testing.assert_allclose(boosted(several, 12, True), boosted(one, 12, True), rtol=1e-5)
    assert_same(one.raw(12), several.raw(12), watched)
    assert_same(one.raw(5), several.raw(5), watched)


@pytest.mark.parametrize(("count", "seen"), [(7, 1), (2, 1), (1, None)])
def test_a_process_without_rows_takes_part(team, count, seen):
    objective = "reg:squarederror"
    train = rows(count, objective, True)
    watched = None if seen is None else rows(seen, objective, True, seed=1)
    fit = fit_of(objective)
    one, several = LocalRounds(fit, train, watched), team.boost(fit, train, watched)
    np.testing.assert_allclose(
        boosted(several, 3, watched is not None), boosted(one, 3, watched is not None), rtol=1e-5
    )
    assert_same(one.raw(3), several.raw(3), rows(50, objective))


def test_a_fit_goes_on_from_a_model_as_on_one_host(team):
    objective = "reg:squarederror"
    train = rows(5_000, objective)
    fit = fit_of(objective)
    whole = LocalRounds(fit, train, None)
    boosted(whole, 20, False)
    first = team.boost(fit, train, None)
    boosted(first, 10, False)
    second = team.boost(Fit(fit.options, fit.kinds, fit.subsample, first.raw(10)), train, None)
    boosted(second, 10, False)
    assert second.rounds == 20
    assert_same(whole.raw(20), second.raw(20), rows(100, objective, seed=2))


def test_the_rows_of_a_round_do_not_depend_on_the_number_of_threads():
    objective = "reg:squarederror"
    train = rows(5_000, objective)
    raw = []
    for threads in (1, 3):
        rounds = LocalRounds(fit_of(objective, nthread=threads), train, None)
        boosted(rounds, 10, False)
        raw.append(rounds.raw(10))
    assert_same(*raw, train)


def test_coarse_values_have_the_bins_of_the_true_ones():
    train = rows(20_000, "reg:squarederror")
    fit = fit_of("reg:squarederror")
    pointers, edges = find_cuts(fit, train)
    rough = coarse(train.matrix, fit.kinds, (pointers, edges))
    for column in (0, 1, 2, 4, 5):
        own = edges[pointers[column] : pointers[column + 1]]
        np.testing.assert_array_equal(
            np.searchsorted(own, train.matrix[:, column], side="right").clip(max=len(own) - 1),
            np.searchsorted(own, rough[:, column], side="right").clip(max=len(own) - 1),
        )
        assert len(np.unique(rough[~np.isnan(rough[:, column]), column])) <= len(own)
    np.testing.assert_array_equal(rough[:, 3], train.matrix[:, 3])
