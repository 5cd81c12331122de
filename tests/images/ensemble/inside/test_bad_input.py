"""A mistake in data or hyperparameters: one line that says what, where, and what to do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from opt_ml.errors import UserError

GOOD = "a,b,y\n" + "".join(f"{i},{i % 3},{i * 1.5}\n" for i in range(30))
CLASSES = "a,b,y\n" + "".join(f"{i},{i % 3},{'xy'[i % 2]}\n" for i in range(30))


def failure(job, hyperparameters=None) -> str:
    with pytest.raises(UserError) as caught:
        job.run({"models": "linear", **(hyperparameters or {})})
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 1024  # TRAIN-75: more is cut off
    assert not (job.base / "model").exists()
    return text


@pytest.mark.parametrize(
    ("hyperparameters", "parts"),
    [
        ({"eta": "fast"}, ["eta must be a number", "'fast'"]),
        ({"num_round": "ten"}, ["num_round must be a whole number", "'ten'"]),
        ({"num_round": 1.5}, ["num_round must be a whole number", "1.5"]),
        ({"eta": 0}, ["eta is 0", "above 0, at most 1"]),
        ({"eta": "1.5"}, ["eta is 1.5", "above 0, at most 1"]),
        ({"max_depth": "0"}, ["max_depth is 0", "at least 1"]),
        ({"num_rounds": 5}, ["'num_rounds'", "Did you mean 'num_round'?"]),
        ({"catboost.dept": 5}, ["'catboost.dept'", "Did you mean 'catboost.depth'?"]),
        ({"catboost.max_depth": 30}, ["'catboost.max_depth'"]),
        ({"max_depth": 30, "models": "catboost"}, ["max_depth (as catboost.depth) is 30", "at most 16"]),
        ({"objective": "reg:squared"}, ["'reg:squared'", "Did you mean 'reg:squarederror'?"]),
        ({"models": "catboost,xgbost"}, ["'xgbost'", "Did you mean 'xgboost'?"]),
        ({"models": ""}, ["models is an empty list"]),
        ({"blend": "vote"}, ["vote needs classes"]),
        ({"eval_metric": "auc"}, ["auc does not fit a regression", "rmse, mae, r2"]),
        ({"eta": 0.1, "learning_rate": 0.1}, ["eta and learning_rate mean the same"]),
        ({"k_fold": 0, "validation_fraction": 0}, ["Nothing to measure", "validation_fraction"]),
        ({"label": "yy"}, ["no column 'yy' for label", "a, b, y"]),
        ({"label": 9}, ["no column '9' for label", "a, b, y"]),
        ({"weight_column": "weigth"}, ["no column 'weigth' for weight_column"]),
        ({"weight_column": "y"}, ["both label and weight_column"]),
        ({"objective": "binary"}, ["objective is binary", "30 classes"]),
        ({"seed": True}, ["seed must be a whole number"]),
    ],
)
def test_a_hyperparameter_that_does_not_fit_is_named(job, hyperparameters, parts):
    text = failure(job.file("train", "rows.csv", GOOD), hyperparameters)
    for part in parts:
        assert part in text


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("rows.csv", GOOD + "1,2\n", ["rows.csv line 32 has 2 fields", "the first line has 3"]),
        ("rows.csv", GOOD + "1,2,3,4\n", ["rows.csv line 32 has 4 fields"]),
        ("rows.csv", GOOD.replace("\n5,", "\n\n\n5,") + "1\n", ["rows.csv line 34 has 1 fields"]),
        ("rows.csv", "a,b\n1,2\n3,4,5\n", ["rows.csv line 3 has 3 fields"]),
        ("rows.csv", "a,b,y\n", ["train has column names but no row"]),
        ("rows.csv", b"a,y\n\xff\xfe,1\n", ["rows.csv is not UTF-8 text"]),
        ("rows.json", '{"a": 1}', ["rows.json is neither CSV nor Parquet"]),
        ("rows.csv", b"PK\x03\x04\0\0\0", ["rows.csv is neither CSV nor Parquet"]),
        ("rows.parquet", b"PAR1 nonsense", ["rows.parquet could not be read as Parquet"]),
        ("rows.csv.gz", b"\x1f\x8b\x08nonsense", ["rows.csv.gz is a damaged gzip file"]),
        ("rows.csv", "", ["The channel train has no data"]),
        ("rows.csv", "\n\n\n", ["rows.csv has no record"]),
        ("rows.csv", "a,y\n1,2\n2,3\n", ["The train channel has 2 rows"]),
        ("rows.csv", "y\n" + "1\n2\n" * 10, ["the label is the only one"]),
        ("rows.csv", "a,b,y\n" + "1,,2\n1,,3\n" * 10, ["No column", "a: the same in", "b: empty in"]),
        ("rows.csv", "a,y\n" + "1,5\n2,5\n" * 10, ["'y' has only one class (5)"]),
        ("rows.csv", "a,y\n" + "1,\n2,\n" * 10, ["'y' of the channel train is empty in every row"]),
        ("rows.csv", "a,y\n1,rare\n" + "1,x\n2,x\n" * 10, ["class 'rare'", "only one row"]),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_named(job, name, content, parts):
    text = failure(job.file("train", name, content))
    for part in parts:
        assert part in text


def test_text_in_the_label_of_a_regression_is_named_by_file_and_line(job):
    text = failure(job.file("train", "rows.csv", GOOD + "1,2,many\n"), {"objective": "reg:squarederror"})
    assert text.startswith("train/rows.csv line 32: the label 'y' is 'many'")
    assert "a regression needs numbers" in text


def test_a_regression_of_one_value_is_refused(job):
    content = "a,y\n" + "1,5\n2,5\n" * 10
    assert "same value in every row" in failure(
        job.file("train", "r.csv", content), {"objective": "regression"}
    )


def test_num_class_that_contradicts_the_label_is_named(job):
    text = failure(job.file("train", "r.csv", CLASSES), {"objective": "multi:softmax", "num_class": 3})
    assert "num_class is 3" in text
    assert "2 classes" in text


@pytest.mark.contract("TRAIN-36")
def test_a_job_without_channels_is_told_what_to_add(job):
    assert "The job has no channels. Add a channel train" in failure(job)


@pytest.mark.parametrize(
    ("channels", "part"),
    [
        (["validation"], "no channel train, only validation"),
        (["train", "training"], "a channel train and a channel training"),
        (["train", "validaton"], "Unknown channel 'validaton'. Did you mean 'validation'?"),
    ],
)
def test_channels_that_do_not_fit_are_named(job, channels, part):
    for channel in channels:
        job.file(channel, "rows.csv", GOOD)
    assert part in failure(job)


@pytest.mark.contract("TRAIN-46")
def test_a_train_channel_without_a_directory_is_empty(job):
    job.file("train", "rows.csv", GOOD)
    (job.base / "input/data/train/rows.csv").unlink()
    (job.base / "input/data/train").rmdir()
    assert "The channel train has no data" in failure(job)


def test_files_with_other_columns_are_named(job):
    job.file("train", "a.csv", GOOD).file("train", "b.csv", GOOD.replace("a,b,y", "a,c,y"))
    assert "train/b.csv has a column 'c' that train/a.csv has not" in failure(job)


def test_files_with_more_columns_are_named(job):
    job.file("train", "a.csv", GOOD).file("train", "b.csv", "a,b,c,y\n1,2,3,4\n")
    assert "train/b.csv has 4 columns, but train/a.csv has 3" in failure(job)


@pytest.mark.parametrize(
    ("validation", "part"),
    [
        ("a,y\n1,2\n", "The channel validation has no column 'b'"),
        ("a,b,y\n1,many,2\n", "v.csv line 2: column 'b' holds 'many'"),
        ("a,b,y\n1,2,3\n1,2,x\n", "v.csv line 3: the label 'y' is 'x'"),
    ],
)
def test_a_validation_channel_that_differs_from_train_is_named(job, validation, part):
    assert part in failure(job.file("train", "rows.csv", GOOD).file("validation", "v.csv", validation))


def test_a_class_that_only_the_validation_channel_has_is_named(job):
    job.file("train", "rows.csv", CLASSES).file("validation", "v.csv", "a,b,y\n1,2,x\n1,2,z\n")
    text = failure(job)
    assert text.startswith(
        "validation/v.csv line 3: the label 'y' is 'z', a class that the train channel does not have"
    )


@pytest.mark.parametrize("weight", ["-1", "heavy", ""])
def test_a_weight_that_is_none_is_named_by_file_and_line(job, weight):
    content = "a,w,y\n" + "".join(f"{i},1,{i}\n" for i in range(20)) + f"3,{weight},4\n"
    text = failure(job.file("train", "rows.csv", content), {"weight_column": "w"})
    assert text.startswith("train/rows.csv line 22: the weight in column 'w'")


@pytest.mark.parametrize(
    "content",
    [
        "a,y\n" + "".join(f"1,{i}.5\n" for i in range(29)) + "2,3.5\n",
        "a,y\n" + "".join(f"{i},0.5\n" for i in range(29)) + "1,1.5\n",
    ],
    ids=["a column that varies in one row", "a label that varies in one row"],
)
def test_rows_that_catboost_refuses_are_a_users_mistake_and_not_a_bug(job, content):
    text = failure(job.file("train", "r.csv", content), {"models": "catboost", "objective": "regression"})
    assert text.startswith("CatBoost refuses")
    assert "leave catboost out of the hyperparameter models" in text


def test_a_column_that_is_nearly_all_numbers_is_mentioned(job, capsys):
    frame = pd.DataFrame({"a": [str(i) for i in range(50)], "y": np.arange(50.0)})
    frame.loc[30:31, "a"] = "1o"
    with pytest.raises(UserError):  # 49 different texts: an identifier, and the only column
        job.file("train", "rows.csv", frame).run()
    said = capsys.readouterr().out
    assert "numbers but for 2 of its 50 values, such as '1o' in train/rows.csv line 32" in said


def test_a_slip_of_the_pen_in_a_label_of_numbers_is_named_and_not_taken_for_a_class(job):
    rows = "".join(f"{i},{i * 3 % 7},{i * 2}.5\n" for i in range(40))
    text = failure(job.file("train", "rows.csv", f"a,b,y\n{rows}3,1,high\n"))
    assert text.startswith("train/rows.csv line 42: the label 'y' is 'high', but a regression needs numbers.")


def test_a_label_with_decimal_commas_is_named_before_hours_of_training(job):
    rows = "".join(f"{i};{i % 7},5;{i * 3},{i % 10}7\n" for i in range(60))
    text = failure(job.file("train", "rows.csv", f"a;b;price\n{rows}"))
    assert "60 different texts in 60 rows" in text
    assert "write a decimal point" in text


def test_utf_16_is_told_from_other_files(job):
    text = failure(job.file("train", "rows.csv", "a,y\n1,2\n".encode("utf-16")))
    assert text == "train/rows.csv is UTF-16 text. Save it as UTF-8."


@pytest.mark.parametrize("value", ["1e200", "-1e19"])
@pytest.mark.parametrize("channel", ["train", "validation"])
def test_a_label_too_large_to_compute_with_is_named_by_file_and_line(job, value, channel):
    job.file("train", "rows.csv", GOOD).file(channel, "rows.csv", GOOD + f"1,2,{value}\n")
    text = failure(job, {"objective": "regression"})
    assert text.startswith(f"{channel}/rows.csv line 32: the label 'y' is {float(value)!r}, too large")
