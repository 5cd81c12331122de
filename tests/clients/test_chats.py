"""Chat completions through the address that SageMaker gives OpenAI's clients, as `build.py serve` has it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlsplit

import pytest

from tests.conformance.endpoints import HANDLERS
from toolkit.hosting.fleet import ContainerDefinition
from toolkit.hosting.local_endpoint import EndpointConfig, LocalEndpoint

NAME = "with-chats"
BASE = f"/endpoints/{NAME}/openai/v1"


@pytest.fixture(scope="module")
def endpoint(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEndpoint]:
    """Serves the conformance suite's chats.py, with one worker."""
    model = tmp_path_factory.mktemp("model")
    (model / "code").mkdir()
    (model / "code" / "inference.py").write_text((HANDLERS / "chats.py").read_text())
    definition = ContainerDefinition(image, model, {"SAGEMAKER_MODEL_SERVER_WORKERS": "1"})
    with LocalEndpoint(EndpointConfig(NAME, (definition,)), lambda _: None) as running:
        yield running


def post(endpoint: LocalEndpoint, path: str, **request: object) -> HTTPResponse:
    connection = HTTPConnection(urlsplit(endpoint.url).netloc, timeout=60)
    headers = {"Content-Type": "application/json", "Authorization": "Bearer of-12-hours"}
    connection.request("POST", path, json.dumps(request).encode(), headers)
    return connection.getresponse()


def messages(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@pytest.mark.contract("HOST-70", "HOST-71")
@pytest.mark.parametrize("path", [BASE, f"/endpoints/{NAME}/inference-components/one/openai/v1"])
def test_the_containers_answer_comes_as_it_is(endpoint: LocalEndpoint, path: str) -> None:
    answer = post(endpoint, f"{path}/chat/completions", messages=messages("one two"), model="")
    assert answer.status == 200
    told = json.loads(answer.read())
    assert told["choices"][0]["message"]["content"] == "ONE TWO "
    wrong = post(endpoint, f"{path}/chat/completions", messages=[])
    assert wrong.status == 400
    assert json.loads(wrong.read())["error"]["param"] == "messages"


@pytest.mark.contract("HOST-70", "HOST-67")
def test_a_stream_comes_word_by_word(endpoint: LocalEndpoint) -> None:
    wish = {"messages": messages("one two"), "stream": True, "pause": 1}
    answer = post(endpoint, f"{BASE}/chat/completions", **wish)
    assert answer.headers["Content-Type"] == "text/event-stream"
    received = b""
    while b"ONE" not in received:
        part = answer.read1(1000)
        assert part, received
        received += part
    assert b"TWO" not in received
    assert answer.read().endswith(b"data: [DONE]\n\n")


@pytest.mark.contract("HOST-73")
@pytest.mark.parametrize("path", ["models", "completions", "embeddings", "responses"])
def test_no_other_path_of_openais_api_is_there(endpoint: LocalEndpoint, path: str) -> None:
    answer = post(endpoint, f"{BASE}/{path}")
    assert answer.status == 400
    assert "no operation" in answer.read().decode()


@pytest.mark.contract("HOST-70")
def test_another_endpoint_is_not_here(endpoint: LocalEndpoint) -> None:
    answer = post(endpoint, BASE.replace(NAME, "another") + "/chat/completions", messages=messages("one"))
    assert answer.status == 400
    assert "another" in answer.read().decode()
