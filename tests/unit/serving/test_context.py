"""Handlers of the AWS toolkits: with a context, as coroutines, and with errors that have a status."""

from __future__ import annotations

import pytest

from tests.unit.serving.conftest import Start

CONTEXT = """
import os
ASKED = []

async def model_fn(model_dir, context):
    assert context.system_properties["model_dir"] == model_dir
    return "a model"

def input_fn(body, content_type, context):
    return {"body": body, "user": context.get_request_header(0, "X-User")}

def predict_fn(data, model, scale=2, *, more=None):
    return {**data, "scale": scale}

async def output_fn(prediction, accept, context):
    if prediction["body"] == "status":
        context.set_response_status(code=201, phrase="Made")
    if prediction["body"] in ("204", "304"):
        context.set_response_status(code=int(prediction["body"]))
    if prediction["body"] == "header":
        context.set_response_header(0, "X-Amzn-SageMaker-Custom-Attributes", f"id={context.get_request_id()}")
    if prediction["body"] == "split":
        context.set_response_header(0, "X-A", "1\\r\\nX-B: 2")
    if prediction["body"] == "error":
        raise Refused(429, "Too many tokens.")
    context.set_response_content_type(0, "text/plain")
    return "{user} {scale}".format(**prediction)

class Refused(Exception):
    def __init__(self, status_code, message):
        self.status_code, self.message = status_code, message
"""


@pytest.fixture
def server(start: Start):
    return start(CONTEXT, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()


@pytest.mark.contract("HANDLER-05", "HOST-34")
def test_a_context_has_the_request_headers_and_is_given_where_it_is_asked_for(server):
    reply = server.post(b"1", **{"X-User": "Ada"})
    assert (reply.body, reply.headers["content-type"]) == (b"Ada 2", "text/plain")
    assert server.post(b"1").body == b"None 2"


@pytest.mark.contract("HANDLER-05", "HOST-59", "HOST-60")
def test_a_context_sets_status_and_headers_of_one_answer(server):
    assert [server.post(body).status for body in (b"status", b"1")] == [201, 200]
    reply = server.post(b"header", **{"X-Amzn-SageMaker-Inference-Id": "seven"})
    assert reply.headers["x-amzn-sagemaker-custom-attributes"] == "id=seven"
    assert "x-amzn-sagemaker-custom-attributes" not in server.post(b"1").headers


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_whose_status_has_no_body_does_not_spoil_the_next(server, status):
    head = b"POST /invocations HTTP/1.1\r\nContent-Type: text/csv\r\nX-User: Ada\r\n"
    with server.connect() as client:
        client.sendall(head + b"Content-Length: 3\r\n\r\n%d" % status)
        client.sendall(head + b"Connection: close\r\nContent-Length: 1\r\n\r\n1")
        received = client.makefile("rb").read()
    first, _, rest = received.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 %d " % status)
    assert status == 304 or b"Content-Length" not in first
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")
    assert rest.endswith(b"\r\n\r\nAda 2")


def test_a_header_cannot_smuggle_another(server):
    reply = server.post(b"split")
    assert reply.status == 500
    assert "set_response_header" in reply.json["error"]
    assert "x-b" not in reply.headers


@pytest.mark.contract("HANDLER-21")
def test_an_error_with_a_status_code_is_answered_with_it_and_logs_no_traceback(server):
    reply = server.post(b"error")
    assert (reply.status, reply.json) == (429, {"error": "Too many tokens."})
    assert "Traceback" not in server.log


def test_contexts_of_requests_that_are_predicted_together_are_apart(start, tmp_path):
    joining = (
        CONTEXT
        + """
def predict_batch_fn(data, model, contexts):
    scales = [context.get_request_header(0, "x-scale") for context in contexts]
    return [{**item, "scale": scale} for item, scale in zip(data, scales)]
"""
    )
    from opt_ml.serving.handler import load_handler
    from opt_ml.serving.invocation import Model, Request

    code = tmp_path / "code"
    code.mkdir()
    (code / "inference.py").write_text(joining)
    model = Model(load_handler(tmp_path), str(tmp_path))
    model.run(model.load())
    requests = [
        Request(b"status", "text/csv", None, {"x-user": "a", "x-scale": "3"}),
        Request(b"1", "text/csv", None, {"x-user": "b", "x-scale": "4"}),
    ]
    answers = model.run(model.answer_together(requests))
    assert [(answer.status, answer.body) for answer in answers] == [
        (201, b"a 3"),
        (200, b"b 4"),
    ]
