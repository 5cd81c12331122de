"""Blends on predictions that are made up, so that the right answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from opt_ml_ensemble.blending import cross_fitted, fit_blend
from opt_ml_ensemble.cross_validation import make_folds, split
from opt_ml_ensemble.metrics import measure
from opt_ml_ensemble.schema import Data


def regression(rows=400):
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 10, rows)
    data = Data(np.zeros((rows, 1), dtype=np.float32), truth)
    return data, {"good": truth + rng.normal(0, 1, rows), "bad": truth + rng.normal(0, 3, rows)}


def classes(rows=400, kinds=3):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, kinds, rows)

    def model(strength):
        scores = rng.normal(0, 1, (rows, kinds))
        scores[np.arange(rows), truth] += strength
        exponent = np.exp(scores)
        return exponent / exponent.sum(axis=1, keepdims=True)

    return Data(np.zeros((rows, 1), dtype=np.float32), truth), {"good": model(3.0), "bad": model(0.0)}


def test_weights_of_two_unbiased_models_go_by_their_inverse_variance():
    data, predictions = regression(20_000)
    weights = fit_blend("weighted", data, predictions, "regression").weights
    assert weights["good"] == pytest.approx(0.9, abs=0.02)  # 1/1 against 1/9
    assert sum(weights.values()) == pytest.approx(1.0)


def test_a_model_that_knows_nothing_gets_no_weight():
    data, predictions = classes()
    weights = fit_blend("weighted", data, predictions, "multiclass").weights
    assert weights["bad"] < 0.05


def test_a_row_of_weight_zero_has_no_say():
    data, predictions = regression()
    wrong = {name: predicted.copy() for name, predicted in predictions.items()}
    wrong["good"][:100] += 1000
    weight = np.where(np.arange(400) < 100, 0.0, 1.0)
    found = fit_blend("weighted", Data(data.matrix, data.label, weight), wrong, "regression").weights
    part = data.take(np.arange(100, 400))
    expected = fit_blend("weighted", part, {n: p[100:] for n, p in predictions.items()}, "regression").weights
    assert found["good"] == pytest.approx(expected["good"], abs=1e-3)


@pytest.mark.parametrize(
    ("kind", "task"),
    [
        (kind, task)
        for kind in ("mean", "weighted", "stacking", "vote")
        for task in ("regression", "multiclass", "binary")
        if (kind, task) != ("vote", "regression")
    ],
)
def test_every_blend_keeps_the_shape_and_probabilities_sum_to_one(kind, task):
    data, predictions = regression() if task == "regression" else classes(kinds=2 if task == "binary" else 3)
    blended = fit_blend(kind, data, predictions, task).combine(predictions)
    assert blended.shape == predictions["good"].shape
    if task != "regression":
        np.testing.assert_allclose(blended.sum(axis=1), 1.0)
        assert (blended >= 0).all()


@pytest.mark.parametrize("kind", ["weighted", "stacking"])
def test_a_row_has_no_say_in_the_blend_that_it_is_measured_by(kind):
    data, predictions = regression(50)
    folds = make_folds(data, "regression", 5, seed=0)
    before = cross_fitted(kind, data, predictions, "regression", folds)
    learned, held_out = folds[0]
    label = data.label.copy()
    label[held_out] += 500
    after = cross_fitted(kind, Data(data.matrix, label), predictions, "regression", folds)
    np.testing.assert_allclose(after[held_out], before[held_out])
    assert not np.allclose(after[learned], before[learned])


def test_stacking_is_measured_on_folds_that_lack_a_class():
    data, predictions = classes(60)
    data.label[:] = np.where(np.arange(60) == 7, 2, data.label % 2)
    folds = make_folds(data, "multiclass", 3, seed=0)
    assert cross_fitted("stacking", data, predictions, "multiclass", folds).shape == (60, 3)


def test_folds_and_splits_keep_the_shares_of_the_classes_and_lose_no_row():
    label = np.array([0] * 80 + [1] * 20)
    data = Data(np.arange(100, dtype=np.float32).reshape(-1, 1), label)
    folds = make_folds(data, "binary", 5, seed=1)
    assert sorted(np.concatenate([held_out for _, held_out in folds])) == list(range(100))
    assert {int(label[held_out].sum()) for _, held_out in folds} == {4}
    train, validation = split(data, "binary", 0.2, seed=1)
    assert (len(train), len(validation), int(validation.label.sum())) == (80, 20, 4)
    assert sorted([*train.matrix[:, 0], *validation.matrix[:, 0]]) == list(range(100))


def test_a_class_of_one_row_is_trained_on_when_rows_are_split_off():
    data = Data(np.zeros((21, 1), dtype=np.float32), np.array([0, 1] * 10 + [2]))
    for seed in range(20):
        train, validation = split(data, "multiclass", 0.3, seed)
        assert 2 in train.label
        assert 2 not in validation.label


def test_metrics_agree_with_their_definitions():
    truth, predicted = np.array([1.0, 2.0, 4.0]), np.array([1.0, 4.0, 3.0])
    found = measure("regression", Data(np.zeros((3, 1), dtype=np.float32), truth), predicted)
    assert found["rmse"] == pytest.approx((5 / 3) ** 0.5)
    assert found["mae"] == pytest.approx(1.0)
    assert found["r2"] == pytest.approx(1 - 5 / ((truth - truth.mean()) ** 2).sum())
    probabilities = np.array([[0.8, 0.2], [0.4, 0.6], [0.7, 0.3]])
    found = measure("binary", Data(np.zeros((3, 1), dtype=np.float32), np.array([0, 1, 1])), probabilities)
    assert found["auc"] == 1.0
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["logloss"] == pytest.approx(-np.log([0.8, 0.6, 0.3]).mean())
