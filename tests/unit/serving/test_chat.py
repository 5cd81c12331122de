"""What a chat_fn may return, and what becomes of it. The path itself: tests/conformance/test_chats.py."""

from __future__ import annotations

import json

import pytest

from tests.unit.serving.conftest import Start

HANDLER = """
def model_fn(model_dir):
    return object()

class Chooses(Exception):
    status_code, message = 422, "not with this model"

def chat_fn(request, model, context):
    wish = request["messages"][0]["content"]
    context.set_response_header(0, "X-Amzn-SageMaker-Custom-Attributes", "chat=1")
    if wish == "call":
        return {"tool_calls": [{"id": "1", "function": {"name": "look", "arguments": "{}"}}]}
    if wish == "choose":
        raise Chooses
    if wish == "odd":
        return {"text": "of another API"}
    if wish == "usage":
        return {"content": "a", "usage": {"tokens": 1}}
    return wish
"""

ASYNC = """
import asyncio

async def model_fn(model_dir):
    return asyncio.Event()

async def chat_fn(request, model):
    wish = request["messages"][0]["content"]
    yield "begun "
    if wish == "wait":
        await model.wait()
    model.set()
    yield "ended"
"""

JOINING = """
def model_fn(model_dir):
    return str

def predict_fn(data, model):
    return [float(row[0]) for row in data]

def predict_batch_fn(data, model):
    return [predict_fn(each, model) for each in data]

def chat_fn(request, model):
    yield "heard"
"""


def chat(content, **others):
    return json.dumps({"messages": [{"role": "user", "content": content}], **others})


def ask(server, body, path="/v1/chat/completions"):
    return server.request("POST", path, body, {"Content-Type": "application/json"})


@pytest.fixture
def server(start: Start):
    return start(HANDLER).wait_until_ready()


@pytest.mark.contract("HOST-71")
def test_a_text_is_a_whole_answer_without_counts(server):
    reply = ask(server, chat("hello"))
    [choice] = reply.json["choices"]
    assert choice["message"]["content"] == "hello"
    assert choice["finish_reason"] == "stop"
    assert "usage" not in reply.json
    assert reply.headers["x-amzn-sagemaker-custom-attributes"] == "chat=1"


def test_a_text_becomes_a_stream_for_a_client_that_wants_one(server):
    reply = ask(server, chat("hello", stream=True))
    assert reply.headers["content-type"] == "text/event-stream"
    assert reply.body.count(b'"content":"hello"') == 1
    assert reply.body.endswith(b"data: [DONE]\n\n")


def test_calls_of_tools_are_told_whole_and_numbered_in_a_stream(server):
    [choice] = ask(server, chat("call")).json["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    [call] = choice["message"]["tool_calls"]
    assert call == {"type": "function", "id": "1", "function": {"name": "look", "arguments": "{}"}}
    assert b'"tool_calls":[{"index":0,' in ask(server, chat("call", stream=True)).body


@pytest.mark.parametrize(
    ("wish", "status", "message"),
    [
        ("choose", 422, "not with this model"),
        ("odd", 500, "its keys are content, finish_reason, tool_calls, usage"),
        ("usage", 500, "prompt_tokens and completion_tokens"),
    ],
)
def test_an_error_is_in_openais_form_on_its_path_and_in_ours_on_the_other(server, wish, status, message):
    reply = ask(server, chat(wish))
    assert reply.status == status
    assert message in reply.json["error"]["message"]
    reply = ask(server, chat(wish), "/invocations")
    assert reply.status == status
    assert message in reply.json["error"]


def test_a_model_that_only_chats_says_so_to_any_other_body(server):
    assert ask(server, '{"inputs": "hello"}', "/invocations").status == 400
    assert "messages" in ask(server, '{"inputs": "hello"}', "/invocations").json["error"]
    assert ask(server, chat("hello"), "/invocations").status == 200


def test_another_type_than_json_and_another_method_are_refused(server):
    assert server.request("POST", "/v1/chat/completions", "a,b", {"Content-Type": "text/csv"}).status == 415
    assert server.request("GET", "/v1/chat/completions").status == 405


def test_chats_of_an_asynchronous_handler_go_on_at_once(start):
    server = start(ASYNC, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()
    with server.connect() as waiting:
        body = chat("wait", stream=True).encode()
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        waiting.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        received = b""
        while b"begun" not in received:
            received += waiting.recv(10_000)
        assert ask(server, chat("go")).json["choices"][0]["message"]["content"] == "begun ended"
        while b"[DONE]" not in received:
            part = waiting.recv(10_000)
            assert part, received
            received += part


def test_a_chat_is_not_joined_with_predictions(start):
    server = start(JOINING, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()
    assert ask(server, chat("hello")).json["choices"][0]["message"]["content"] == "heard"
    assert server.post("3,1\n4,1\n", Accept="application/json").json == [3.0, 4.0]


@pytest.mark.contract("HOST-35")
def test_many_models_have_no_path_for_chats_but_each_answers_them(start, tmp_path):
    server = start(None, SAGEMAKER_MULTI_MODEL="true").wait_until_ready()
    reply = ask(server, chat("hello"))
    assert reply.status == 400
    assert "/models/" in reply.json["error"]["message"]
    code = tmp_path / "chatting" / "code"
    code.mkdir(parents=True)
    (code / "inference.py").write_text(HANDLER)
    loaded = server.request("POST", "/models", json.dumps({"model_name": "a", "url": str(code.parent)}))
    assert loaded.status == 200, loaded.body
    assert ask(server, chat("hello"), "/models/a/invoke").json["object"] == "chat.completion"
