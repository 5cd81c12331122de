"""Requests against trained models: formats, columns by name and order, outputs, and what is refused."""

from __future__ import annotations

import io
import json

import fastparquet
import numpy as np
import pandas as pd
import pytest
from autogluon.tabular import TabularPredictor
from opt_ml.errors import RequestError, UserError
from opt_ml_autogluon.tabular import handler

COLUMNS = ["size", "colour", "code", "always"]
CSV = "52.5,red,3,1\n,green,1,1\n41.0,,2,1\n"


@pytest.fixture(scope="module")
def models(tmp_path_factory, mixed, job_class):
    """The model directory of each label."""
    made = {}
    for label in ("price", "dear", "band"):
        job = job_class(tmp_path_factory.mktemp(label))
        made[label] = job.file("train", "rows.csv", mixed[[*COLUMNS, label]]).run()
    return made


@pytest.fixture(scope="module")
def served(models):
    """One loaded model a label."""
    return {label: handler.model_fn(str(model)) for label, model in models.items()}


def answer(model, body, content_type="text/csv", accept="*/*"):
    """The body of an answer, as the server would come to it."""
    table = handler.input_fn(body if isinstance(body, bytes) else body.encode(), content_type)
    return handler.output_fn(handler.predict_fn(table, model), accept)[0].decode()


@pytest.mark.parametrize("label", ["price", "dear", "band"])
def test_an_answer_is_what_the_predictor_itself_says(label, models, served):
    frame = pd.read_csv(io.StringIO(CSV), header=None, names=COLUMNS)
    frame["colour"] = frame["colour"].astype(object).where(frame["colour"].notna(), None)
    expected = TabularPredictor.load(str(models[label])).predict(frame)
    found = answer(served[label], CSV).split()
    if label == "price":
        assert [float(value) for value in found] == pytest.approx(expected.tolist(), rel=1e-5)
    else:
        assert found == [str(value) for value in expected]


def test_the_formats_say_the_same(served):
    frame = pd.read_csv(io.StringIO(CSV), header=None, names=COLUMNS)
    parquet = io.BytesIO()
    parquet.close = lambda: None
    fastparquet.write("rows", frame, open_with=lambda *_: parquet)
    records = json.loads(frame.to_json(orient="records"))
    bodies = {
        "text/csv": CSV,
        "application/json": json.dumps(records),
        "application/jsonlines": "\n".join(map(json.dumps, records)),
        "application/x-parquet": parquet.getvalue(),
    }
    answers = {kind: answer(served["price"], body, kind) for kind, body in bodies.items()}
    assert len(set(answers.values())) == 1, answers


def test_columns_with_names_come_in_any_order_and_others_are_passed_over(served):
    shuffled = "id,code,size,always,colour,price\nx,3,52.5,1,red,9\ny,1,,1,green,9\nz,2,41.0,1,,9\n"
    assert answer(served["price"], shuffled, "text/csv; header=present") == answer(served["price"], CSV)


def test_a_header_is_found(served):
    assert answer(served["dear"], ",".join(COLUMNS) + "\n" + CSV) == answer(served["dear"], CSV)


def test_outputs_of_classes(served):
    labels = answer(served["dear"], CSV).split()
    probability = [
        float(line) for line in answer(served["dear"], CSV, accept="text/csv;output=probability").split()
    ]
    both = json.loads(answer(served["dear"], CSV, accept="application/json;output=probabilities"))[
        "predictions"
    ]
    assert [row["yes"] for row in both] == pytest.approx(probability, rel=1e-6)
    assert labels == ["yes" if value > 0.5 else "no" for value in probability]
    assert {
        type(value)
        for value in json.loads(answer(served["band"], CSV, accept="application/json"))["predictions"]
    } == {int}


def test_joined_requests_have_the_answers_of_single_ones(served):
    model = served["band"]
    bodies = ["52.5,red,3,1\n", "1,2\n", CSV]
    tables = [handler.input_fn(body.encode(), "text/csv") for body in bodies]
    first, refused, last = handler.predict_batch_fn(tables, model)
    assert isinstance(refused, RequestError)
    accept = "text/csv;output=probabilities"
    for joined, body in ((first, bodies[0]), (last, bodies[2])):
        single = answer(model, body, accept=accept)
        together = handler.output_fn(joined, accept)[0].decode()
        assert np.genfromtxt(io.StringIO(together), delimiter=",") == pytest.approx(
            np.genfromtxt(io.StringIO(single), delimiter=","), rel=1e-5
        )


def test_single_rows_are_read_together_and_a_header_among_them_is_refused_alone(served):
    model = served["price"]
    bodies = [*CSV.splitlines(), ",".join(COLUMNS), "1,red,1,1"]
    tables = [handler.input_fn(body.encode(), "text/csv") for body in bodies]
    joined = handler.predict_batch_fn(tables, model)
    assert [isinstance(item, RequestError) for item in joined] == [False, False, False, True, False]
    together = [handler.output_fn(item, "*/*")[0].decode() for item in (*joined[:3], joined[4])]
    assert [float(text) for text in together] == pytest.approx(
        [float(answer(model, body)) for body in (*bodies[:3], bodies[4])], rel=1e-6
    )


@pytest.mark.parametrize("label", ["price", "dear", "band"])
def test_an_explanation_adds_up_to_the_prediction_and_a_constant_explains_nothing(served, label):
    rows = json.loads(answer(served[label], CSV, accept="application/json;output=explanation"))["predictions"]
    said = answer(served[label], CSV).split()
    for row, text in zip(rows, said, strict=True):
        prediction = row.pop("prediction" if label == "price" else "probability")
        assert (
            (prediction == pytest.approx(float(text))) if label == "price" else str(row.pop("label")) == text
        )
        assert row.pop("base") + sum(row.values()) == pytest.approx(prediction, abs=1e-3)
        assert set(row) == set(COLUMNS)
        assert row["always"] == 0
    assert abs(rows[0]["size"]) + abs(rows[0]["colour"]) > 10 * abs(rows[0]["always"])


def test_an_explanation_is_always_the_same_and_that_of_a_joined_request_its_own(served):
    model, accept = served["price"], "text/csv;output=explanation"
    lines = CSV.splitlines(keepends=True)
    joined = handler.predict_batch_fn([handler.input_fn(line.encode(), "text/csv") for line in lines], model)
    together = [handler.output_fn(item, accept)[0].decode() for item in joined]
    assert together == [answer(model, line, accept=accept) for line in lines]


def test_too_many_rows_to_explain_are_400(served):
    with pytest.raises(RequestError, match=r"has 2000 rows, but at most \d+ can be explained"):
        answer(served["price"], "1,red,1,1\n" * 2000, accept="text/csv;output=explanation")


@pytest.mark.parametrize(
    ("body", "content_type", "names"),
    [
        ("52.5,red,three,1\n", "text/csv", ["three", "code", "Row 1"]),
        ("52.5,red\n", "text/csv", ["2 columns", "expects 4", "colour"]),
        ("52.5,red,3,1,7\n", "text/csv", ["Leave the label 'price' out"]),
        (
            '[{"size": 1, "color": "red", "code": 1, "always": 1}]',
            "application/json",
            ["'colour'", "'color'"],
        ),
    ],
)
def test_what_does_not_fit_is_400_and_names_the_column(served, body, content_type, names):
    with pytest.raises(RequestError) as caught:
        answer(served["price"], body, content_type)
    assert caught.value.status == 400
    assert [name for name in names if name not in caught.value.message] == []


def test_an_output_that_the_model_cannot_give_is_400(served):
    with pytest.raises(RequestError, match="output=labels"):
        answer(served["price"], CSV, accept="text/csv;output=labels")


def test_the_variable_says_what_answers_hold(models, monkeypatch):
    monkeypatch.setenv("AUTOGLUON_OUTPUT", "probability")
    assert 0 <= float(answer(handler.model_fn(str(models["dear"])), "52.5,red,3,1\n")) <= 1
    monkeypatch.setenv("AUTOGLUON_OUTPUT", "models")
    with pytest.raises(UserError, match="AUTOGLUON_OUTPUT"):
        handler.model_fn(str(models["dear"]))


def test_a_category_that_training_never_saw_and_missing_values_are_answered(served):
    assert len(answer(served["price"], "52.5,mauve,3,1\n,,,\n").split()) == 2


def test_a_directory_without_a_model_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"model\.json does not exist"):
        handler.model_fn(str(tmp_path))


def test_the_models_are_in_memory_and_use_no_more_threads_than_a_worker_has(job, mixed, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    models = {"RF": {"n_estimators": 20}, "XGB": {"n_estimators": 20}, "CAT": {"iterations": 20}}
    settings = {"hyperparameters": json.dumps(models), "num_bag_folds": "2"}
    model = job.file("train", "rows.csv", mixed[["size", "code", "price"]]).run(settings)
    predictor = handler.model_fn(str(model)).predictor
    persisted = predictor.model_names(persisted=True)
    for name in (name for name in persisted if not name.startswith("Weighted")):
        bag = predictor._trainer.load_model(name)
        for child in map(bag.load_child, bag.models):
            predictor.predict(mixed[["size", "code"]][:5])
            bound = {
                **getattr(child._predict_proba, "keywords", {}),
                **getattr(child.model.predict, "keywords", {}),
            }
            assert (1 in bound.values()) or child.model.n_jobs == 1, name
