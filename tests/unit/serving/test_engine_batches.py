"""Batches: which TorchServe makes, and how the workers behind another server answer them."""

from __future__ import annotations

import json

import pytest
from opt_ml.errors import UserError
from opt_ml.serving.engines import service, torchserve
from opt_ml.serving.engines.link import DIRECTORY_VARIABLE


@pytest.mark.contract("HANDLER-31")
@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, (1, 100)),
        ({"SAGEMAKER_TS_BATCH_SIZE": "8", "SAGEMAKER_TS_MAX_BATCH_DELAY": "0"}, (8, 0)),
    ],
)
def test_torchserve_joins_requests_as_the_variables_of_awss_toolkit_say(variables, expected):
    found = torchserve.read_batches(variables)
    assert (found.size, found.delay) == expected


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_a_batch_that_is_none_is_named(value):
    with pytest.raises(UserError, match="SAGEMAKER_TS_BATCH_SIZE"):
        torchserve.read_batches({"SAGEMAKER_TS_BATCH_SIZE": value})


def test_torchserves_archive_holds_nothing_but_the_name_of_our_handler():
    module, _, function = torchserve.manifest()["model"]["handler"].partition(":")
    assert module == service.__name__
    assert callable(getattr(service, function))


JOINS = """
import json

calls = []

def model_fn(model_dir):
    return calls

def input_fn(body, content_type):
    return json.loads(body)

def predict_fn(data, model):
    return data

def predict_batch_fn(data, model):
    model.append(len(data))
    return data

def output_fn(prediction, accept):
    return json.dumps([prediction, calls])
"""


class Heads:
    """What a server gives its workers as context: headers in, statuses and headers out."""

    def __init__(self):
        self.statuses = {}

    def get_all_request_header(self, index):
        return {"Content-Type": "application/json", "body": {"content-type": "application/json"}}

    def set_response_status(self, code, idx):
        self.statuses[idx] = code

    def set_response_content_type(self, index, value):
        pass

    def set_response_header(self, index, name, value):
        pass


def test_requests_that_a_server_joined_are_predicted_together_and_a_form_is_refused(tmp_path, monkeypatch):
    (tmp_path / "model" / "code").mkdir(parents=True)
    (tmp_path / "model" / "code" / "inference.py").write_text(JOINS)
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path))
    monkeypatch.setattr(service, "_loaded", None)
    heads = Heads()
    assert service.handle(None, heads) is None
    bodies = service.handle([{"body": b"1"}, {"field": b"x"}, {"body": b"{"}, {"body": b"2"}], heads)
    assert heads.statuses == {0: 200, 1: 415, 2: 400, 3: 200}
    assert (json.loads(bodies[0]), json.loads(bodies[3])) == ([1, [2]], [2, [2]])
