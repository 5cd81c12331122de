"""Requests against trained models: formats, columns by name and order, outputs, and what is refused."""

from __future__ import annotations

import io
import json

import fastparquet
import numpy as np
import pandas as pd
import pytest
from opt_ml.errors import RequestError, UserError
from opt_ml_ensemble import handler
from opt_ml_ensemble.bundle import load_bundle

COLUMNS = ["size", "colour", "code", "always", "nothing", "id"]
SMALL = {"models": "catboost,xgboost,linear"}


@pytest.fixture(scope="module")
def served(tmp_path_factory, mixed, job_class):
    """One loaded model a label."""
    models = {}
    for label in ("price", "dear", "band"):
        job = job_class(tmp_path_factory.mktemp(label))
        job.file("train", "rows.csv", mixed[[*COLUMNS, label]]).run(SMALL)
        models[label] = handler.model_fn(str(job.base / "model"))
    return models


@pytest.fixture(scope="module")
def numbers_only(tmp_path_factory, mixed, job_class):
    """A model of four nameless number columns and a number: the hot path."""
    job = job_class(tmp_path_factory.mktemp("numbers"))
    values = np.random.default_rng(0).random((60, 4))
    job.file("train", "rows.csv", "\n".join(",".join(map(str, row)) for row in values) + "\n").run(SMALL)
    return handler.model_fn(str(job.base / "model"))


def answer(model, body, content_type, accept="*/*"):
    body = body if isinstance(body, bytes) else body.encode()
    return handler.output_fn(handler.predict_fn(handler.input_fn(body, content_type), model), accept)


def refusal(model, body, content_type, accept="*/*") -> RequestError:
    with pytest.raises(RequestError) as caught:
        answer(model, body, content_type, accept)
    assert "\n" not in caught.value.message
    return caught.value


def bodies(frame: pd.DataFrame, directory) -> list[tuple[str, bytes]]:
    """The same records in every format."""
    records = json.loads(frame.to_json(orient="records"))
    fastparquet.write(str(directory / "r.parquet"), frame)
    return [
        ("text/csv", frame.to_csv(index=False, header=False).encode()),
        ("text/csv; charset=utf-8", frame.to_csv(index=False).encode()),
        ("", frame.to_csv(index=False).encode()),
        ("application/json", json.dumps(records).encode()),
        ("application/json", json.dumps({n: [r[n] for r in records] for n in frame}).encode()),
        ("application/json", json.dumps([list(record.values()) for record in records]).encode()),
        ("application/jsonlines", "\n".join(map(json.dumps, records)).encode()),
        ("application/x-parquet", (directory / "r.parquet").read_bytes()),
    ]


@pytest.mark.parametrize("label", ["price", "dear", "band"])
def test_one_table_gets_one_answer_in_every_format(served, mixed, label, tmp_path):
    answers = {
        answer(served[label], body, kind, "application/json; output=models")
        for kind, body in bodies(mixed[COLUMNS][:20], tmp_path)
    }
    assert len(answers) == 1


def test_an_array_and_its_csv_get_one_answer(numbers_only):
    rows = np.random.default_rng(1).random((5, 4))[:, :3]
    stream = io.BytesIO()
    np.save(stream, rows)
    csv = "\n".join(",".join(map(repr, map(float, row))) for row in rows)
    assert answer(numbers_only, stream.getvalue(), "application/x-npy") == answer(
        numbers_only, csv, "text/csv"
    )


def test_columns_with_names_come_in_any_order_with_others_between(served, mixed):
    model, rows = served["price"], mixed[:10]
    expected = answer(model, rows[COLUMNS].to_csv(index=False), "text/csv")
    other = rows[["id", "colour", "size", "price", "code"]].assign(extra="x")
    records = other.to_json(orient="records")
    assert answer(model, records, "application/json") == expected
    # The whole training file, label and all, with its header.
    assert answer(model, rows[[*COLUMNS, "price"]].to_csv(index=False), "text/csv") == expected
    assert answer(model, rows[["size", "colour", "code"]].to_csv(index=False), "text/csv") == expected


def test_names_mean_nothing_to_a_model_of_nameless_columns(numbers_only):
    expected = answer(numbers_only, "0.1,0.2,0.3", "text/csv")
    assert answer(numbers_only, '[{"a": 0.1, "b": 0.2, "c": 0.3}]', "application/json") == expected
    by_position = '{"column_2": 0.3, "column_0": 0.1, "column_1": 0.2}'
    assert answer(numbers_only, by_position, "application/json") == expected


def test_an_unseen_category_counts_as_missing(served):
    def one(colour):
        return answer(
            served["price"], json.dumps({"size": 50, "colour": colour, "code": 2}), "application/json"
        )

    assert one("mauve") == one(None)
    assert one("red") != one(None)


def test_a_missing_feature_is_named_with_the_nearest_column(served):
    error = refusal(served["price"], '{"size": 1, "color": "red", "code": 1}', "application/json")
    assert error.status == 400
    assert "no column 'colour'" in error.message
    assert "Did you mean 'color'?" in error.message


def test_a_name_that_is_a_feature_of_its_own_is_no_hint_for_another(served):
    error = refusal(served["price"], '{"size": 1, "code": 1, "xode": 2}', "application/json")
    assert "no column 'colour'" in error.message
    assert "'code'" not in error.message


def test_fields_that_no_comma_separates_are_told_so(numbers_only):
    error = refusal(numbers_only, "1;2;3", "text/csv")
    assert "has 1 column, but" in error.message
    assert "by commas" in error.message


@pytest.mark.parametrize(
    ("row", "hint"), [("1,2", ""), ("1,2,3,4", "Leave the label 'column_3' out."), ("1,2,3,4,5", "")]
)
def test_a_wrong_number_of_columns_says_what_is_expected(numbers_only, row, hint):
    error = refusal(numbers_only, row, "text/csv")
    assert error.status == 400
    assert f"has {len(row.split(','))} columns, but the model expects 3" in error.message
    assert hint in error.message


def test_text_in_a_column_of_numbers_is_named_by_row_and_column(served):
    error = refusal(served["price"], "1,red,2,1,,a\n1,red,many,1,,b\n", "text/csv")
    assert error.status == 400
    assert error.message.startswith("Row 2, column 3 ('code') holds 'many'")
    assert (error.details["row"], error.details["column"]) == (2, 3)


@pytest.mark.contract("HOST-57")
def test_the_default_answer_is_csv_of_the_label_or_the_number(served, mixed):
    body = mixed[COLUMNS][:3].to_csv(index=False, header=False)
    content, kind = answer(served["dear"], body, "text/csv")
    assert kind == "text/csv"
    assert set(content.decode().split()) <= {"yes", "no"}
    assert len(content.splitlines()) == 3
    assert {
        type(value)
        for value in json.loads(answer(served["band"], body, "text/csv", "application/json")[0])[
            "predictions"
        ]
    } == {int}
    content, _ = answer(served["price"], body, "text/csv")
    expected = served["price"].predict(
        handler.request_matrix(handler.input_fn(body.encode(), "text/csv"), served["price"].schema)
    )
    assert [float(line) for line in content.split()] == list(expected)


def test_probabilities_on_request_are_one_column_a_class(served, mixed):
    body = mixed[COLUMNS][:4].to_csv(index=False, header=False)
    content, _ = answer(served["band"], body, "text/csv", "application/json; output=probabilities")
    records = json.loads(content)["predictions"]
    assert all(list(record) == ["0", "1", "2"] for record in records)
    assert all(sum(record.values()) == pytest.approx(1.0) for record in records)
    labels = json.loads(answer(served["band"], body, "text/csv", "application/json; output=labels")[0])[
        "predictions"
    ]
    assert labels == [int(max(record, key=record.get)) for record in records]
    positive = json.loads(answer(served["dear"], body, "text/csv", "application/json;output=probability")[0])
    both = json.loads(answer(served["dear"], body, "text/csv", "application/json;output=probabilities")[0])
    assert positive["predictions"] == [record["yes"] for record in both["predictions"]]


def test_every_single_model_stands_beside_the_blend_on_request(served, mixed):
    body = mixed[COLUMNS][:4].to_csv(index=False, header=False)
    content, _ = answer(served["price"], body, "text/csv", "application/json; output=models")
    model = served["price"].bundle
    for record in json.loads(content)["predictions"]:
        assert list(record) == ["prediction", "catboost", "xgboost", "linear"]
        blended = sum(model.blend.weights[name] * record[name] for name in model.blend.weights)
        assert record["prediction"] == pytest.approx(blended)


@pytest.mark.parametrize(
    ("label", "output"),
    [("price", "probabilities"), ("price", "labels"), ("band", "probability"), ("dear", "everything")],
)
def test_an_output_that_the_model_cannot_give_is_refused(served, label, output):
    error = refusal(served[label], "1,red,2,1,,a", "text/csv", f"application/json; output={output}")
    assert error.status == 400
    assert "Use one of: predictions" in error.message


def test_an_unknown_accept_is_406(served):
    assert refusal(served["price"], "1,red,2,1,,a", "text/csv", "image/png").status == 406


def test_ensemble_output_sets_the_default(served, job, mixed, monkeypatch):
    model_dir = job.file("train", "rows.csv", mixed[["size", "dear"]]).run({"models": "linear"})
    monkeypatch.setenv("ENSEMBLE_OUTPUT", "probabilities")
    content, _ = answer(handler.model_fn(str(model_dir)), "50", "text/csv")
    assert sum(map(float, content.decode().split(","))) == pytest.approx(1.0)
    monkeypatch.setenv("ENSEMBLE_OUTPUT", "scores")
    with pytest.raises(
        UserError, match="ENSEMBLE_OUTPUT is 'scores'; this model can give: predictions, labels"
    ):
        handler.model_fn(str(model_dir))


def test_binary_logistic_answers_the_probability_as_xgboost_does(job, mixed):
    model_dir = job.file("train", "rows.csv", mixed[["size", "dear"]]).run(
        {"models": "linear", "objective": "binary:logistic"}
    )
    low, high = (
        float(line) for line in answer(handler.model_fn(str(model_dir)), "30\n70", "text/csv")[0].split()
    )
    assert 0.0 <= low < high <= 1.0


@pytest.mark.contract("HOST-21", "HOST-28")
def test_a_model_directory_that_nobody_may_write_to_is_served(job, mixed):
    model_dir = job.file("train", "rows.csv", mixed[["size", "price"]]).run(
        {"models": "catboost,xgboost,linear"}
    )
    before = {path.name: path.stat().st_mtime_ns for path in model_dir.iterdir()}
    for path in model_dir.iterdir():
        path.chmod(0o444)
    model_dir.chmod(0o555)
    answer(handler.model_fn(str(model_dir)), "50", "text/csv")
    model_dir.chmod(0o755)
    assert {path.name: path.stat().st_mtime_ns for path in model_dir.iterdir()} == before


def test_a_directory_without_a_model_is_said_so(tmp_path):
    with pytest.raises(UserError, match=r"model\.json does not exist\. Serve a model that"):
        handler.model_fn(str(tmp_path))


def test_a_foreign_type_in_a_skops_file_is_not_loaded(job, mixed):
    from pathlib import PurePosixPath

    import skops.io

    model_dir = job.file("train", "rows.csv", mixed[["size", "price"]]).run({"models": "linear"})
    skops.io.dump({"path": PurePosixPath("x")}, model_dir / "linear.skops")
    with pytest.raises(UserError, match=r"linear\.skops holds types that are not trusted: pathlib"):
        load_bundle(model_dir)


def test_many_rows_are_answered_in_order(numbers_only):
    rows = np.random.default_rng(2).random((1500, 3)).round(6)
    body = "\n".join(",".join(map(str, row)) for row in rows)
    together = answer(numbers_only, body, "text/csv")[0].split()
    assert len(together) == 1500
    for row in (0, 700, 1499):
        alone = answer(numbers_only, ",".join(map(str, rows[row])), "text/csv")[0]
        assert float(alone) == pytest.approx(float(together[row]), rel=1e-6)
