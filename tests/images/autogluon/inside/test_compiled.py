"""A compiled predictor says what AutoGluon says, and leaves to AutoGluon what it does not know."""

from __future__ import annotations

import dataclasses
import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
from autogluon.tabular import TabularPredictor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opt_ml_autogluon.tabular import fitting, handler
from opt_ml_autogluon.tabular.columns import Values
from opt_ml_autogluon.tabular.compiled import boosted
from opt_ml_autogluon.tabular.compiled.features import ColumnFeatures
from opt_ml_autogluon.tabular.compiled.models import AsFitted
from opt_ml_autogluon.tabular.compiled.program import BLOCK
from opt_ml_autogluon.tabular.served import Joined

SMALL = {
    "GBM": {"num_boost_round": 12},
    "CAT": {"iterations": 12},
    "XGB": {"n_estimators": 12},
    "RF": {"n_estimators": 12},
    "XT": {"n_estimators": 12},
    "KNN": {},
    "LR": {},
    "NN_TORCH": {"num_epochs": 2},
}
UNKNOWN = {"GBM_PREP": {"num_boost_round": 12}}
WITHOUT_QUANTILES = ("XGB", "KNN", "LR")
FORESTS = ("RandomForest", "ExtraTrees")  # those of quantiles are AutoGluon's own
PROBLEMS = ("regression", "binary", "multiclass", "quantile")
ROWS = 160


def table(seed: int, problem: str, numbers: int, texts: int, missing: float) -> pd.DataFrame:
    """Numbers of different spread, texts of few and of many categories, two truth values, and a label."""
    rng = np.random.default_rng(seed)
    made: dict[str, object] = {}
    score = np.zeros(ROWS)
    for place in range(numbers):
        column = rng.normal(size=ROWS) if place % 2 else rng.lognormal(sigma=2, size=ROWS)
        score += np.argsort(np.argsort(column)) / ROWS
        made[f"number {place}"] = np.where(rng.random(ROWS) < missing, np.nan, column)
    for place in range(texts):
        codes = rng.integers(0, (3, 40)[place % 2], ROWS)
        score += codes % 3
        column = np.array([f"Kind {code}" for code in codes], dtype=object)
        made[f"text {place}"] = np.where(rng.random(ROWS) < missing, None, column)
    made["flag"] = rng.integers(0, 2, ROWS)
    made["word"] = rng.choice(["yes", "no"], ROWS)
    if problem == "binary":
        made["label"] = np.where(score > np.median(score), "up", "down")
    elif problem == "multiclass":
        made["label"] = np.digitize(score, np.quantile(score, [0.3, 0.7]))
    else:
        made["label"] = score * 10 + rng.normal(size=ROWS)
    return pd.DataFrame(made)


def trained(job, frame, problem, kinds, **more):
    """The loaded model, compiled as far as it can be."""
    hyperparameters = {
        "hyperparameters": json.dumps({kind: (SMALL | UNKNOWN)[kind] for kind in kinds}),
        "problem_type": problem,
        "label": "label",
        **more,
    }
    if problem == "quantile":
        hyperparameters["quantile_levels"] = "[0.2, 0.5, 0.8]"
    return handler.model_fn(str(job.file("train", "rows.csv", frame).run(hyperparameters)))


def awkward(served, seed: int, rows: int = 60) -> Values:
    """Rows like those of the training, with gaps, unknown texts, another case, and far numbers."""
    rng = np.random.default_rng(seed)
    chosen = rng.integers(0, len(served.background.numbers), rows)
    numbers, texts = served.background.numbers[chosen].copy(), served.background.texts[chosen].copy()
    numbers *= rng.choice([1.0, 1.1, -1.0, 1e6], numbers.shape)
    numbers[rng.random(numbers.shape) < 0.2] = np.nan
    for fate, change in ((0.1, None), (0.2, "never seen"), (0.3, "kind 1")):
        texts[(rng.random(texts.shape) < fate)] = change
    return Values(numbers, texts)


def assert_same(served, values) -> None:
    """The program and AutoGluon itself, all rows at once and one alone."""
    plain = dataclasses.replace(served, program=None)
    for part in (values, values.part(slice(0, 1))):
        found, expected = served.predict(part), plain.predict(part)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        assert found.dtype == expected.dtype
        if served.predictor.can_predict_proba:
            ours = served.predictor.predict_from_proba(pd.DataFrame(found, columns=served.names))
            assert served.labels(found).tolist() == ours.tolist()
            assert (
                served.labels(expected).tolist()
                == served.predictor.predict(served.columns.frame(part)).tolist()
            )


def left_to_autogluon(served) -> list[str]:
    return [name for name, node in served.program._nodes.items() if isinstance(node, AsFitted)]


@pytest.mark.parametrize(("problem", "folds"), [*((problem, 0) for problem in PROBLEMS), ("multiclass", 2)])
def test_every_kind_of_model_is_compiled_and_says_what_autogluon_says(job, problem, folds):
    kinds = [kind for kind in SMALL if problem != "quantile" or kind not in WITHOUT_QUANTILES]
    stacking = {"num_bag_folds": str(folds), "num_stack_levels": "1"} if folds else {}
    served = trained(job, table(1, problem, 3, 2, 0.1), problem, kinds, save_space="false", **stacking)
    for name in served.predictor.model_names():
        served.predictor.set_model_best(name, save_trainer=False)
        again = handler.compile_predictor(served.predictor, served.columns, served.background)
        if again is None:
            assert problem == "quantile"
            assert name.startswith(FORESTS)
            continue
        each = dataclasses.replace(served, program=again)
        assert isinstance(again._features, ColumnFeatures)
        left = left_to_autogluon(each)
        assert not left or (problem == "quantile" and all(one.startswith(FORESTS) for one in left)), name
        assert_same(each, awkward(served, 2))


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    problem=st.sampled_from(PROBLEMS),
    seed=st.integers(0, 1000),
    numbers=st.integers(0, 4),
    texts=st.integers(0, 3),
    missing=st.sampled_from([0.0, 0.1, 0.5]),
    folds=st.sampled_from([0, 2]),
    data=st.data(),
)
def test_a_compiled_predictor_says_what_autogluon_says(
    new_job, problem, seed, numbers, texts, missing, folds, data
):
    possible = [kind for kind in SMALL if problem != "quantile" or kind not in WITHOUT_QUANTILES]
    kinds = data.draw(st.lists(st.sampled_from(possible), min_size=1, max_size=3, unique=True))
    if problem != "quantile" and not numbers and kinds == ["KNN"]:
        kinds = ["KNN", "GBM"]  # neighbours need numbers
    frame = table(seed, problem, numbers, texts, missing)
    served = trained(new_job(), frame, problem, kinds, num_bag_folds=str(folds))
    if served.program is None:
        assert problem == "quantile"
        assert set(kinds) <= {"RF", "XT"}
        return
    assert_same(served, awkward(served, seed))


def test_prose_is_left_to_autogluon_and_the_models_are_compiled_all_the_same(job, capfd):
    frame = table(3, "regression", 2, 1, 0.0)
    rng = np.random.default_rng(0)
    words = ["river", "stone", "quiet", "evening", "market", "window", "yellow", "garden"]
    frame["prose"] = [" ".join(rng.choice(words, 12)) for _ in range(ROWS)]
    frame["day"] = pd.date_range("2024-01-01", periods=ROWS).astype(str)
    served = trained(job, frame, "regression", ["GBM", "RF"])
    assert not isinstance(served.program._features, ColumnFeatures)
    assert left_to_autogluon(served) == []
    assert "AutoGluon makes the features" in capfd.readouterr().err
    assert_same(served, served.background)


def test_a_model_of_an_unknown_kind_is_left_to_autogluon(job, capfd):
    served = trained(job, table(7, "regression", 3, 1, 0.1), "regression", ["GBM_PREP"])
    assert left_to_autogluon(served) == ["LightGBMPrep"]
    assert "AutoGluon predicts with LightGBMPrep: PrepLGBModel is not known" in capfd.readouterr().err
    assert_same(served, awkward(served, 7))


def test_a_model_that_says_something_else_is_left_to_autogluon(job, monkeypatch, capfd):
    right = boosted.LightGBM.__call__
    monkeypatch.setattr(boosted.LightGBM, "__call__", lambda self, matrix: right(self, matrix) * 1.00001)
    served = trained(job, table(4, "regression", 3, 0, 0.0), "regression", ["GBM"])
    assert left_to_autogluon(served) == ["LightGBM"]
    assert_same(served, awkward(served, 4))
    assert "AutoGluon predicts with LightGBM: its predictions: in row" in capfd.readouterr().err


def test_calibrated_probabilities_and_thresholds_are_honoured(job):
    frame = table(5, "binary", 3, 1, 0.0)
    served = trained(job, frame, "binary", ["RF", "KNN"], eval_metric="log_loss", calibrate="true")
    best = served.predictor._trainer.load_model(served.predictor.model_best)
    assert best.temperature_scalar is not None
    assert_same(served, awkward(served, 5))
    served.predictor.set_decision_threshold(0.8)
    rows = awkward(served, 6)
    probability = served.predict(rows)[:, 1]
    expected = served.predictor.predict(served.columns.frame(rows)).tolist()
    assert served.labels(served.predict(rows)).tolist() == expected
    assert np.any((probability > 0.5) & (probability < 0.8))


@pytest.mark.parametrize("positive", ["down", "up"])
def test_the_probability_is_of_the_positive_class_first_or_last_in_the_alphabet(job, monkeypatch, positive):
    chosen = partial(TabularPredictor, learner_kwargs={"positive_class": positive})
    monkeypatch.setattr(fitting, "TabularPredictor", chosen)
    frame = table(9, "binary", 3, 1, 0.0)
    served = trained(job, frame, "binary", ["GBM", "XGB"])
    assert left_to_autogluon(served) == []
    assert served.predictor.positive_class == positive
    assert served.names[1] == positive
    values = awkward(served, 9)
    expected = served.predictor.predict_proba(served.columns.frame(values))[positive]
    found = Joined(served, values).columns("probability")["probability"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert_same(served, values)
    known = served.predictor.predict_proba(frame.drop(columns="label"))[positive]
    assert known[frame["label"] == positive].mean() > known[frame["label"] != positive].mean()


@pytest.mark.parametrize(("kinds", "folds"), [(["GBM"], 0), (["GBM", "CAT"], 0), (["CAT"], 2)])
def test_the_conformal_shift_of_quantiles_is_added_once(job, monkeypatch, kinds, folds):
    frame = table(8, "quantile", 3, 1, 0.0)
    served = trained(job, frame, "quantile", kinds, calibrate="true", num_bag_folds=str(folds))
    assert left_to_autogluon(served) == []
    best = served.predictor._trainer.load_model(served.predictor.model_best)
    shift = best.conformalize
    assert np.abs(shift).max() > 0.01
    values = awkward(served, 8)
    assert_same(served, values)
    shifted = served.predict(values)
    np.testing.assert_array_equal(served.predict(values), shifted)  # AutoGluon adds it to the array in place
    monkeypatch.setattr(best, "conformalize", None)
    plain = served.predict(values)
    np.testing.assert_allclose(shifted - plain, np.broadcast_to(shift, plain.shape), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("left", [2, 3])
def test_a_class_that_was_dropped_as_too_rare_has_the_probability_nought(job, left):
    frame = table(10, "multiclass", 3, 1, 0.0)
    frame["label"] = [f"class {number * 2 % (2 * left)}" for number in frame["label"]]
    frame.loc[[3, 70, 111], "label"] = "class 1"  # between the others
    served = trained(job, frame, "multiclass", ["GBM", "RF"], num_bag_folds="2")
    assert left_to_autogluon(served) == []
    assert served.names == sorted(frame["label"].unique())
    # Two classes that are left are a binary problem for the models, and none for whoever asks.
    assert served.predictor._trainer.problem_type == ("binary" if left == 2 else "multiclass")
    values = awkward(served, 10)
    assert_same(served, values)
    probabilities = Joined(served, values).columns("probabilities")
    assert not probabilities["class 1"].any()
    np.testing.assert_allclose(sum(probabilities.values()), 1, rtol=1e-5)
    assert "class 1" not in served.labels(served.predict(values))


def test_a_refitted_bag_is_compiled(job):
    served = trained(
        job, table(6, "multiclass", 3, 2, 0.1), "multiclass", ["GBM", "NN_TORCH"],
        num_bag_folds="2", refit_full="best", set_best_to_refit_full="true",
    )  # fmt: skip
    assert any(name.endswith("_FULL") for name in served.program._nodes)
    assert left_to_autogluon(served) == []
    assert_same(served, awkward(served, 6, rows=BLOCK + 9))
