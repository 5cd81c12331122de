"""What a training job does with real data, by task."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from opt_ml.environment import read_environment
from opt_ml.tables.files import read_channel
from opt_ml_ensemble.bundle import load_bundle
from opt_ml_ensemble.dataset import encode
from sklearn import datasets
from sklearn.model_selection import train_test_split

ALL_MODELS = "catboost,xgboost,extra_trees,random_forest,hist_gradient_boosting,linear"
FEATURES = ["size", "colour", "code", "always", "nothing", "id"]


def held_out(load: Any, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    frame = load(as_frame=True).frame
    return tuple(train_test_split(frame, test_size=0.3, random_state=seed))


@pytest.mark.parametrize(
    ("load", "metric", "smaller"),
    [
        (datasets.load_diabetes, "rmse", True),
        (datasets.load_breast_cancer, "auc", False),
        (datasets.load_iris, "accuracy", False),
    ],
)
@pytest.mark.parametrize("blend", ["weighted", "mean", "stacking"])
def test_the_blend_is_not_worse_than_the_worst_single_model_on_held_out_rows(
    job, load, metric, smaller, blend
):
    train_rows, test_rows = held_out(load, seed=1)
    job.file("train", "train.csv", train_rows).file("test", "test.csv", test_rows)
    job.run({"num_round": 60, "eta": 0.1, "blend": blend})
    test = job.metrics["test"]
    single = [scores[metric] for scores in test["models"].values()]
    assert len(single) == 4
    if smaller:
        assert test["blend"][metric] <= max(single)
    else:
        assert test["blend"][metric] >= min(single)


@pytest.mark.parametrize(
    ("label", "task"), [("price", "regression"), ("dear", "binary"), ("band", "multiclass")]
)
@pytest.mark.parametrize("blend", ["weighted", "stacking"])
def test_a_reloaded_model_predicts_bit_by_bit_what_it_did_before_saving(
    job, mixed, label, task, blend, monkeypatch, tmp_path
):
    import opt_ml_ensemble.train as trainer

    outcomes = []
    original = trainer.train_ensemble
    monkeypatch.setattr(trainer, "train_ensemble", lambda *a: outcomes.append(original(*a)) or outcomes[-1])
    job.file("train", "rows.csv", mixed[[*FEATURES, label]])
    model_dir = job.run({"models": ALL_MODELS, "blend": blend, "num_round": 25})
    before, after = outcomes[0].bundle, load_bundle(model_dir)
    assert after.schema == before.schema
    assert after.schema.task == task
    channel = read_environment(job.base).channels["train"]
    matrix = encode(read_channel(channel, "auto", label), after.schema).matrix
    assert np.isnan(matrix).any()
    assert list(after.models) == ALL_MODELS.split(",")
    for name, predicted in before.predict_each(matrix, threads=2).items():
        np.testing.assert_array_equal(after.models[name].predict(matrix), predicted, err_msg=name)
    np.testing.assert_array_equal(after.predict(matrix), before.predict(matrix))


def test_the_schema_tells_numbers_categories_and_columns_of_no_use(job, mixed):
    job.file("train", "rows.csv", mixed[[*FEATURES, "price"]])
    job.run()
    features = {feature["name"]: feature for feature in job.model["schema"]["features"]}
    kinds = {name: feature["kind"] for name, feature in features.items()}
    assert kinds == {
        "size": "number", "colour": "category", "code": "number",
        "always": "unused", "nothing": "unused", "id": "unused",
    }  # fmt: skip
    assert features["colour"]["categories"][0] == "red"
    assert "identifier" in features["id"]["note"]


def test_model_json_says_what_was_trained_from_what(job, mixed):
    job.file("train", "rows.csv", mixed[["size", "price"]]).run()
    model = job.model
    content = (job.base / "input/data/train/rows.csv").read_bytes()
    import hashlib

    assert model["channels"]["train"] == [
        {"file": "rows.csv", "rows": 200, "sha256": hashlib.sha256(content).hexdigest()}
    ]
    assert model["hyperparameters"]["num_round"] == 40
    assert model["hyperparameters"]["xgboost.num_round"] == 40
    assert model["versions"]["catboost"]


@pytest.mark.contract("TRAIN-73")
def test_report_and_metrics_lie_in_output_data_and_beside_the_model(job, mixed):
    model_dir = job.run() if job.channels else job.file("train", "rows.csv", mixed[["size", "price"]]).run()
    for name in ("report.html", "metrics.json"):
        assert (job.base / "output" / "data" / name).read_bytes() == (model_dir / name).read_bytes()
    assert not list(model_dir.glob("*.pkl")) + list(model_dir.glob("*.joblib"))


@pytest.mark.contract("TRAIN-111", "TRAIN-114")
def test_metrics_stand_alone_on_lines_that_a_tuning_job_finds(job, mixed, capsys):
    job.file("train", "rows.csv", mixed[["size", "colour", "price"]])
    job.file("validation", "rows.csv", mixed[["size", "colour", "price"]][:50])
    job.run()
    lines = capsys.readouterr().out.splitlines()
    final = [line for line in lines if re.fullmatch(r"validation-rmse:[0-9.]+;", line)]
    assert final == [f"validation-rmse:{float(final[0][16:-1]):g};"]
    assert float(final[0][16:-1]) == pytest.approx(job.metrics["validation"]["blend"]["rmse"], rel=1e-5)
    # Without an anchor too, a tuning job's regex reads the blend alone.
    assert [line for line in lines if "validation-rmse:" in line] == final
    for model in ("catboost", "xgboost", "extra_trees", "linear"):
        folds = [line for line in lines if re.match(rf"validation-{model}-fold-[012]-rmse:[0-9.]+;", line)]
        assert len(folds) == 3
        assert any(line.startswith(f"validation-{model}-rmse:") for line in lines)
    assert any(line.startswith("train-rmse:") for line in lines)


@pytest.mark.parametrize(
    ("hyperparameters", "source", "rows"),
    [
        ({"k_fold": 0}, "split", 40),
        ({"k_fold": "0", "validation_fraction": "0.25"}, "split", 50),
        ({"k_fold": 3}, "out-of-fold", 200),
        ({"k_fold": 3, "validation_fraction": 0.1}, "split", 20),
    ],
)
def test_without_a_validation_channel_rows_are_held_out(job, mixed, hyperparameters, source, rows):
    job.file("train", "rows.csv", mixed[["size", "colour", "price"]]).run(hyperparameters)
    assert (job.metrics["validation"]["source"], job.metrics["validation"]["rows"]) == (source, rows)


def test_vote_follows_the_majority(job, mixed):
    model_dir = job.file("train", "rows.csv", mixed[["size", "colour", "dear"]]).run(
        {"blend": "vote", "models": "catboost,xgboost,linear"}
    )
    bundle = load_bundle(model_dir)
    matrix = np.column_stack([np.linspace(30, 70, 50), np.arange(50) % 3]).astype(np.float32)
    votes = sum(found.argmax(axis=1) for found in bundle.predict_each(matrix).values())
    np.testing.assert_array_equal(bundle.predict(matrix).argmax(axis=1), votes >= 2)


def test_sample_weights_decide_between_rows_that_contradict_each_other(job):
    frame = pd.DataFrame(
        {"x": [1, 2] * 60, "y": [10.0, 10.0, 20.0, 20.0] * 30, "w": [1, 1, 0.001, 0.001] * 30}
    )
    model_dir = job.file("train", "rows.csv", frame).run(
        {"label": "y", "weight_column": "w", "objective": "regression"}
    )
    predicted = load_bundle(model_dir).predict(np.array([[1.0], [2.0]], dtype=np.float32))
    np.testing.assert_allclose(predicted, 10.0, atol=1.0)
    assert [feature["name"] for feature in job.model["schema"]["features"]] == ["x"]


@pytest.mark.parametrize("given", ["weight", "2", "-2"])
def test_the_weight_column_goes_by_name_or_position(job, given):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.random((40, 4)), columns=["a", "b", "weight", "y"])
    job.file("train", "rows.csv", frame).run({"weight_column": given, "models": "linear"})
    assert job.model["schema"]["weight"] == "weight"


def test_one_seed_gives_one_model(new_job, mixed):
    frame = mixed[["size", "colour", "price"]]
    first, second = (new_job().file("train", "rows.csv", frame) for _ in range(2))
    for trained in (first, second):
        trained.run({"seed": 5, "nthread": 1})
    assert first.metrics == second.metrics


def test_the_folds_decide_the_rounds_of_the_final_model(job, mixed):
    job.file("train", "rows.csv", mixed[["size", "colour", "price"]])
    job.run({"num_round": 2000, "early_stopping_rounds": 5, "models": "catboost,xgboost", "eta": 0.3})
    assert all(1 <= model["rounds"] < 2000 for model in job.model["models"].values())


def test_early_stopping_zero_uses_every_round(job, mixed):
    job.file("train", "rows.csv", mixed[["size", "price"]])
    job.run(
        {"num_round": 17, "early_stopping_rounds": 0, "models": "catboost,xgboost,hist_gradient_boosting"}
    )
    assert [model["rounds"] for model in job.model["models"].values()] == [17, 17, 17]


@pytest.mark.parametrize("label", ["price", "dear", "band"])
def test_twenty_rows_are_enough(job, mixed, label):
    model_dir = job.file("train", "rows.csv", mixed[[*FEATURES, label]][:20]).run({"k_fold": 5})
    assert load_bundle(model_dir).schema.label == label


def test_a_class_of_one_row_does_not_stop_the_job(job, mixed):
    frame = mixed[["size", "colour"]].assign(kind=["rare"] + ["a", "b"] * 99 + ["a"])
    model_dir = job.file("train", "rows.csv", frame).run({"models": ALL_MODELS})
    assert load_bundle(model_dir).schema.classes == ("a", "b", "rare")
    assert len(job.metrics["folds"]["linear"]) == 3


def test_rows_without_a_label_are_left_out_with_a_notice(job, mixed, capsys):
    frame = mixed[["size", "price"]].copy()
    frame.loc[[3, 5], "price"] = None
    job.file("train", "rows.csv", frame).run()
    assert "train: 2 of 200 rows have no label and are left out." in capsys.readouterr().out
    assert job.metrics["train"]["rows"] == 198


@pytest.mark.parametrize(
    ("objective", "output"),
    [
        ("auto", "labels"),
        ("binary:logistic", "probability"),
        ("multi:softprob", "probabilities"),
        ("multi:softmax", "labels"),
    ],
)
def test_xgboost_names_of_objectives_choose_the_answer(job, mixed, objective, output):
    job.file("train", "rows.csv", mixed[["size", "dear"]]).run({"objective": objective, "models": "linear"})
    assert job.model["output"] == output


def test_metrics_json_has_every_part(job, mixed):
    frame = mixed[["size", "colour", "dear"]]
    job.file("train", "a.csv", frame[:120]).file("validation", "b.csv", frame[120:160]).file(
        "test", "c.csv", frame[160:]
    )
    job.run({"eval_metric": "logloss"})
    metrics = json.loads((job.base / "output/data/metrics.json").read_text())
    assert metrics["metric"] == "logloss"
    for part, rows in (("train", 120), ("validation", 40), ("test", 40)):
        assert metrics[part]["rows"] == rows
        assert set(metrics[part]["blend"]) == {"auc", "logloss", "accuracy", "f1"}
    losses = {name: scores["logloss"] for name, scores in metrics["validation"]["models"].items()}
    assert metrics["ranking"] == sorted(losses, key=losses.__getitem__)
