"""Jobs that go well: what is learned from which files, and what is written."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from autogluon.tabular import TabularPredictor
from opt_ml_autogluon.tabular import handler

FEATURES = ["size", "colour", "code", "always"]
README = Path(__file__).parents[4] / "containers" / "autogluon" / "README.md"


@pytest.mark.parametrize(
    ("label", "problem_type", "metric"),
    [
        ("price", "regression", "root_mean_squared_error"),
        ("dear", "binary", "accuracy"),
        ("band", "multiclass", "accuracy"),
    ],
)
def test_the_problem_is_found_from_the_label(job, mixed, capfd, label, problem_type, metric):
    job.file("train", "rows.csv", mixed[[*FEATURES, label]]).run()
    assert job.model["problem_type"] == problem_type
    assert (job.metrics["problem_type"], job.metrics["metric"]) == (problem_type, metric)
    printed = re.findall(rf"^validation-{metric}:([-0-9.]+);", capfd.readouterr().out, flags=re.MULTILINE)
    assert [float(value) for value in printed] == [pytest.approx(job.metrics["validation"][metric], rel=1e-5)]


def test_everything_that_people_know_from_the_published_example_is_written(job, mixed):
    job.file("training", "rows.csv", mixed[[*FEATURES, "price"]][:150])
    job.file("testing", "rows.csv", mixed[[*FEATURES, "price"]][150:])
    model = job.run()
    board = pd.read_csv(model / "Leaderboard.csv")
    assert {"LightGBM", "XGBoost", "WeightedEnsemble_L2"} == set(board["model"])
    assert board["score_test"].notna().all()
    evaluation = json.loads((model / "Model_Evaluation.txt").read_text())
    assert evaluation == job.metrics["test"]
    assert evaluation["root_mean_squared_error"] > 0
    assert "Summary of fit()" in (model / "Fit_Summary.txt").read_text()
    for name in ("SummaryOfModels.html", "report.html"):
        page = (model / name).read_text()
        assert "WeightedEnsemble_L2" in page
        assert "<script" not in page
    names = {path.name for path in (job.base / "output" / "data").iterdir()}
    assert {"Leaderboard.csv", "Model_Evaluation.txt", "metrics.json", "report.html"} <= names


def test_a_table_may_come_in_several_files_of_either_format(new_job, mixed):
    table = mixed[["size", "code", "price"]]
    whole, parts = new_job().file("train", "rows.csv", table), new_job()
    parts.file("train", "a.csv", table[:100]).file("train", "b.parquet", table[100:].reset_index(drop=True))
    for job in (whole, parts):
        job.run()
    assert parts.metrics["validation"] == pytest.approx(whole.metrics["validation"])


def test_only_what_predictions_need_is_in_the_model_and_a_plain_predictor_loads_it(job, mixed):
    model = job.file("train", "rows.csv", mixed[[*FEATURES, "dear"]]).run()
    assert sum(path.stat().st_size for path in model.rglob("*") if path.is_file()) < 2_000_000
    predictor = TabularPredictor.load(str(model))
    assert predictor.predict(mixed[FEATURES]).isin(["yes", "no"]).all()
    assert not (model / "utils").exists()


def test_with_save_space_off_the_model_can_be_fitted_further(job, mixed):
    model = job.file("train", "rows.csv", mixed[["size", "price"]]).run({"save_space": "false"})
    predictor = TabularPredictor.load(str(model))
    assert predictor.fit_extra({"KNN": {}}).model_names()
    assert "KNeighbors" in predictor.model_names()


def test_a_validation_channel_is_what_the_models_are_measured_on(job, mixed):
    job.file("train", "rows.csv", mixed[[*FEATURES, "price"]][:150])
    job.file("validation", "rows.csv", mixed[[*FEATURES, "price"]][150:]).run()
    assert job.metrics["validation_rows"] == {"source": "validation", "rows": 50}


def test_a_bag_is_measured_out_of_its_folds_and_may_be_refitted_to_one_model(job, mixed):
    settings = {"num_bag_folds": "2", "refit_full": "best", "set_best_to_refit_full": "true"}
    model = job.file("train", "rows.csv", mixed[[*FEATURES, "price"]]).run(settings)
    assert job.metrics["validation_rows"] == {"source": "out-of-fold", "rows": 200}
    assert job.metrics["model"].endswith("_FULL")
    assert not list(model.glob("models/*/S1F2")), "the folds are there, too"


def test_weights_count(new_job):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=300), "y": np.repeat([1.0, 5.0], 150)})
    table["w"] = np.where(table["y"] == 5, 1000, 0.001)
    job = new_job().file("train", "rows.csv", table)
    model = handler.model_fn(str(job.run({"weight_column": "w", "label": "y", "problem_type": "regression"})))
    body, _ = handler.output_fn(handler.predict_fn(handler.input_fn(b"0.1\n", "text/csv"), model), "text/csv")
    assert float(body) > 4.5


def test_quantiles_are_a_column_a_level(job, mixed):
    settings = {"problem_type": "quantile", "quantile_levels": "[0.1, 0.9]"}
    settings["hyperparameters"] = '{"RF": {"n_estimators": 20}}'
    model = handler.model_fn(
        str(job.file("train", "rows.csv", mixed[["size", "code", "price"]]).run(settings))
    )
    answer = handler.predict_fn(handler.input_fn(b"50,1\n40,2\n", "text/csv"), model)
    body, _ = handler.output_fn(answer, "application/json")
    rows = json.loads(body)["predictions"]
    assert [set(row) for row in rows] == [{"0.1", "0.9"}] * 2
    assert all(row["0.1"] <= row["0.9"] for row in rows)


def test_what_each_column_is_worth_is_in_the_report(job, mixed):
    job.file("train", "rows.csv", mixed[[*FEATURES, "price"]]).run({"feature_importance": "true"})
    importance = job.metrics["feature_importance"]
    assert max(importance, key=importance.get) == "size"
    assert "Feature importance" in (job.base / "model" / "report.html").read_text()


def test_the_models_of_a_set_whose_library_is_left_out_are_not_tried(job, mixed, caplog):
    job.file("train", "rows.csv", mixed[["size", "code", "price"]])
    job.run({"hyperparameters": "very_light", "excluded_model_types": "cat, nn_torch", "verbosity": "2"})
    assert "Fitting model: XGBoost" in caplog.text
    assert "ImportError" not in caplog.text


def test_distillation_serves_one_model_of_the_ensemble(job, mixed):
    settings = {
        "distill": "true",
        "hyperparameters": '{"GBM": {"num_boost_round": 20}, "RF": {"n_estimators": 20}}',
    }
    job.file("train", "rows.csv", mixed[["size", "code", "price"]]).run(settings)
    assert "_DSTL" in job.metrics["model"]
