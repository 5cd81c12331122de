"""Chat completions on port 8080, as clients of OpenAI's API ask for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.endpoints import (
    Handlers,
    RawAnswer,
    raw_connection,
    read_answers,
    until_closed,
    until_received,
)
from tests.conformance.test_streams import chunks
from toolkit.serving.endpoint import Endpoint

PATH = "/v1/chat/completions"
WORDS = "one two three"
BAD = {
    "no-json": (b"{", None),
    "no-object": (b"[]", None),
    "no-messages": (b"{}", "messages"),
    "no-message": (b'{"messages": []}', "messages"),
    "message-without-role": (b'{"messages": [{"content": "a"}]}', "messages[0].role"),
    "two-choices": (b'{"messages": [{"role": "user", "content": "a"}], "n": 2}', "n"),
    "hot": (b'{"messages": [{"role": "user", "content": "a"}], "temperature": 9}', "temperature"),
}


@pytest.fixture(scope="module")
def with_chats(handlers: Handlers) -> Handlers:
    """`handlers`, of an image that answers chats."""
    return handlers


@pytest.fixture(scope="module")
def chatting(with_chats: Handlers) -> Iterator[Endpoint]:
    """Serves handlers/chats.py with one worker."""
    with with_chats.serve("chats.py", environment={"SAGEMAKER_MODEL_SERVER_WORKERS": "1"}) as running:
        yield running


def post(body: bytes, path: str = PATH) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", "Connection: close"]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def chat(content: str, **others: Any) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": content}], **others}).encode()


def ask(endpoint: Endpoint, body: bytes, path: str = PATH) -> RawAnswer:
    with raw_connection(endpoint) as connection:
        connection.sendall(post(body, path))
        [answer] = read_answers(connection, 1)
    return answer


def events(body: bytes) -> list[Any]:
    """The events of a whole stream, which must end as OpenAI's do."""
    *told, last, empty = body.split(b"\n\n")
    assert (last, empty) == (b"data: [DONE]", b"")
    assert all(event.startswith(b"data: ") for event in told)
    return [json.loads(event.removeprefix(b"data: ")) for event in told]


@pytest.mark.contract("HOST-71")
@pytest.mark.parametrize("path", [PATH, "/invocations"])
def test_a_chat_is_answered_with_its_counts(chatting: Endpoint, path: str) -> None:
    answer = ask(chatting, chat(WORDS, max_tokens=2), path)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    told = json.loads(answer.body)
    assert told["object"] == "chat.completion"
    assert told["id"].startswith("chatcmpl-")
    [choice] = told["choices"]
    assert choice["message"] == {"role": "assistant", "content": "ONE TWO "}
    assert choice["finish_reason"] == "length"
    assert told["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


@pytest.mark.contract("HOST-72")
@pytest.mark.parametrize("name", ["", "any-name", "endpoint/variant:1"])
def test_any_model_name_is_taken(chatting: Endpoint, name: str) -> None:
    answer = ask(chatting, chat("hello", model=name))
    assert answer.status == 200, answer.body
    assert json.loads(answer.body)["model"] == name


@pytest.mark.contract("HOST-71", "HOST-69")
def test_a_stream_has_an_event_for_each_part_and_ends_with_done(chatting: Endpoint) -> None:
    with raw_connection(chatting) as connection:
        connection.sendall(post(chat(WORDS, stream=True, stream_options={"include_usage": True})))
        head, _, body = until_closed(connection).partition(b"\r\n\r\n")
    assert b"\r\nContent-Type: text/event-stream\r\n" in head
    told = events(b"".join(chunks(body)))
    assert {event["object"] for event in told} == {"chat.completion.chunk"}
    assert len({event["id"] for event in told}) == 1
    *parts, counts = told
    deltas = [event["choices"][0]["delta"] for event in parts]
    assert [delta.get("content") for delta in deltas] == ["", "ONE ", "TWO ", "THREE ", None]
    assert deltas[0]["role"] == "assistant"
    assert [event["choices"][0]["finish_reason"] for event in parts] == [None] * 4 + ["stop"]
    assert counts["choices"] == []
    assert counts["usage"]["total_tokens"] == 6


@pytest.mark.contract("HOST-67")
def test_the_first_word_comes_while_the_others_are_made(chatting: Endpoint) -> None:
    with raw_connection(chatting) as connection:
        connection.sendall(post(chat(WORDS, stream=True, pause=1)))
        assert b"TWO" not in until_received(connection, b"ONE")
        assert b"[DONE]" in until_closed(connection)


@pytest.mark.contract("HOST-68")
def test_a_model_that_breaks_in_the_middle_says_so_and_breaks_the_stream_off(chatting: Endpoint) -> None:
    with raw_connection(chatting) as connection:
        connection.sendall(post(chat("one break", stream=True)))
        _, _, body = until_closed(connection).partition(b"\r\n\r\n")
    assert b'data: {"error":{"message":"RuntimeError: the model broke"' in body
    assert b"[DONE]" not in body
    with pytest.raises(ValueError, match="invalid literal"):
        chunks(body)


@pytest.mark.contract("HOST-71")
@pytest.mark.parametrize(("body", "param"), BAD.values(), ids=BAD)
def test_a_wrong_request_is_told_as_openai_tells_it(
    chatting: Endpoint, body: bytes, param: str | None
) -> None:
    answer = ask(chatting, body)
    assert answer.status == 400, answer.body
    error = json.loads(answer.body)["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    assert error["param"] == param


@pytest.mark.contract("HOST-71")
def test_a_failure_of_the_model_is_told_as_openai_tells_it(chatting: Endpoint) -> None:
    answer = ask(chatting, chat("break at once", stream=True))
    assert answer.status == 500
    assert json.loads(answer.body)["error"]["type"] == "server_error"
    assert "the model broke" in json.loads(answer.body)["error"]["message"]


@pytest.mark.contract("HOST-71", "HOST-35")
def test_a_model_without_chat_fn_answers_no_chats(with_chats: Handlers) -> None:
    with with_chats.serve("streams.py") as endpoint:
        answer = ask(endpoint, chat("hello"))
    assert answer.status == 404
    assert "chat_fn" in json.loads(answer.body)["error"]["message"]
