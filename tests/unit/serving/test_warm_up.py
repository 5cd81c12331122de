"""OPT_ML_WARM_UP: requests that every worker answers before the container is healthy."""

from __future__ import annotations

import pytest
from opt_ml.errors import UserError
from opt_ml.serving.handler import load_handler
from opt_ml.serving.invocation import Model

from tests.unit.serving.conftest import PATIENCE

NOTES = """
import json

seen = []

def model_fn(model_dir):
    return seen

def input_fn(body, content_type):
    seen.append((body, content_type))
    return json.loads(body)

def predict_fn(data, model):
    if data == "stream":
        return iter(["a", "b"])
    if data == "breaks":
        return broken()
    return data

def broken():
    yield "a"
    raise RuntimeError("in the middle")
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load a model whose directory holds files; what its handler saw."""

    def run(files, named):
        for name, content in {"code/inference.py": NOTES, **files}.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(content)
        monkeypatch.setenv("OPT_ML_WARM_UP", named)
        model = Model(load_handler(tmp_path), str(tmp_path))
        try:
            model.run(model.load())
        finally:
            model.close()
        import inference

        return inference.seen

    return run


def test_requests_are_answered_in_the_order_in_which_they_are_named(load):
    files = {"code/one.json": "1", "two.JSONL": "2", "three.bin": "3"}
    assert load(files, "code/one.json, two.JSONL ,three.bin") == [
        ("1", "application/json"),
        ("2", "application/jsonlines"),
        (b"3", "application/octet-stream"),
    ]


def test_without_the_variable_there_is_none(load):
    assert load({"one.json": "1"}, "") == []


def test_a_stream_is_read_to_its_end(load):
    assert len(load({"one.json": '"stream"'}, "one.json")) == 1
    with pytest.raises(UserError, match=r"one\.json with 500: .*in the middle"):
        load({"one.json": '"breaks"'}, "one.json")


def test_a_file_that_is_not_there_is_named(load):
    with pytest.raises(UserError, match=r"OPT_ML_WARM_UP: .*absent\.json cannot be read \(No such file"):
        load({}, "absent.json")


def test_an_answer_that_is_an_error_ends_the_start_with_its_cause(start, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "one.json").write_text("no JSON")
    server = start(NOTES, OPT_ML_WARM_UP="one.json")
    assert server.process.wait(PATIENCE) == 1
    assert "OPT_ML_WARM_UP: the model answers one.json with 400" in server.log
