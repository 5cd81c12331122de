"""Jobs that cannot go well end with one line that names the cause and the cure."""

from __future__ import annotations

import pandas as pd
import pytest
from opt_ml.errors import UserError

FEATURES = ["size", "colour", "code"]


def refused(job, hyperparameters=None):
    with pytest.raises(UserError) as caught:
        job.run(hyperparameters)
    assert "\n" not in str(caught.value)
    assert not (job.base / "model").exists() or not any((job.base / "model").iterdir())
    return str(caught.value)


def test_a_label_that_is_not_in_the_table_is_named_with_the_nearest(job, mixed):
    job.file("train", "rows.csv", mixed[[*FEATURES, "price"]])
    message = refused(job, {"label": "prise"})
    assert "'prise'" in message
    assert "Did you mean 'price'?" in message
    assert "size, colour, code, price" in message


def test_one_class_only_is_nothing_to_learn(job, mixed):
    message = refused(job.file("train", "rows.csv", mixed[FEATURES].assign(label="yes")))
    assert "only one value ('yes')" in message


def test_a_class_that_only_the_validation_channel_has_is_named_with_its_line(job, mixed):
    job.file("train", "rows.csv", mixed[[*FEATURES, "dear"]])
    job.file("validation", "rows.csv", mixed[[*FEATURES, "dear"]][:5].assign(dear=["no"] * 4 + ["maybe"]))
    message = refused(job)
    assert "validation/rows.csv line 6" in message
    assert "'maybe'" in message


def test_text_among_the_numbers_of_a_label_is_named_with_its_line(job, mixed):
    table = mixed[[*FEATURES, "price"]].astype({"price": object})
    table.loc[10, "price"] = "cheap"
    assert "rows.csv line 12: the label 'price' is 'cheap'" in refused(job.file("train", "rows.csv", table))


def test_a_column_that_a_further_channel_lacks_is_named(job, mixed):
    job.file("train", "rows.csv", mixed[[*FEATURES, "price"]])
    job.file("test", "rows.csv", mixed[["size", "code", "price"]])
    assert "The channel test has no column 'colour'" in refused(job)


def test_columns_that_are_all_the_same_tell_nothing(job):
    message = refused(job.file("train", "rows.csv", pd.DataFrame({"a": 1, "y": range(50)})))
    assert "No column of the train channel tells anything" in message


@pytest.mark.parametrize(
    ("hyperparameters", "names"),
    [
        ({"tim_limit": "5"}, ["tim_limit", "'time_limit'"]),
        ({"presets": "best_qualty"}, ["best_qualty", "best_quality"]),
        ({"eval_metric": "accurracy"}, ["accurracy", "'accuracy'"]),
        ({"hyperparameters": '{"CATBOOST": {}}'}, ["CATBOOST", "NN_TORCH"]),
        ({"hyperparameters": '{"GBM": 3}'}, ["GBM", "'3'"]),
        ({"hyperparameters": '"lite"'}, ["lite", "light"]),
        ({"quantile_levels": "[0.5]"}, ["problem_type"]),
        ({"quantile_levels": "[5]", "problem_type": "quantile"}, ["between 0 and 1"]),
        ({"task": "imagge"}, ["imagge", "tabular"]),
        ({"holdout_frac": "1.5"}, ["holdout_frac", "0.9"]),
        ({"num_bag_folds": "1"}, ["AutoGluon refuses", "num_bag_folds"]),
        ({"eval_metric": "roc_auc"}, ["AutoGluon refuses", "roc_auc"]),
    ],
)
def test_a_wrong_hyperparameter_is_named(job, mixed, hyperparameters, names):
    message = refused(job.file("train", "rows.csv", mixed[[*FEATURES, "price"]]), hyperparameters)
    assert [name for name in names if name not in message] == []


def test_a_job_whose_models_all_fail_names_their_errors(job, mixed):
    job.file("train", "rows.csv", mixed[[*FEATURES, "price"]])
    message = refused(job, {"hyperparameters": '{"XGB": {"max_depth": "deep"}}', "time_limit": "60"})
    assert "could fit no model" in message
    assert "XGBoost" in message
    assert "time_limit" not in message


def test_a_time_limit_that_is_too_short_for_any_model_says_so(job, mixed):
    job.file("train", "rows.csv", mixed[[*FEATURES, "price"]])
    message = refused(job, {"time_limit": "0.001"})
    assert "could fit no model" in message
    assert "more than time_limit 0.001 s" in message


def test_a_channel_that_is_split_over_hosts_is_refused_by_name(job, mixed):
    job.file("train", "rows.csv", mixed[[*FEATURES, "price"]], S3DistributionType="ShardedByS3Key")
    environment = job.environment()
    two = type(environment)(**{**vars(environment), "hosts": ("algo-1", "algo-2")})
    with pytest.raises(UserError, match="channel train is split over 2 hosts"):
        type(job).train(two)
