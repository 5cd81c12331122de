"""Streams through the runtime API of `build.py serve`: boto3 gets each part when the handler has made it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from urllib.request import urlopen

import pytest
from botocore.exceptions import EventStreamError

from tests.clients.artifacts import runtime_client
from tests.conformance.endpoints import HANDLERS
from toolkit.building.images import ROOT
from toolkit.hosting.fleet import ContainerDefinition
from toolkit.hosting.local_endpoint import EndpointConfig, LocalEndpoint

NAME = "with-streams"
EVENTS = [f'data: {{"word": "{word}"}}\n\n'.encode() for word in ("first", "second", "third")]


@pytest.fixture(scope="module")
def endpoint(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEndpoint]:
    """Serves the conformance suite's streams.py, with one worker."""
    model = tmp_path_factory.mktemp("model")
    (model / "code").mkdir()
    (model / "code" / "inference.py").write_text((HANDLERS / "streams.py").read_text())
    definition = ContainerDefinition(image, model, {"SAGEMAKER_MODEL_SERVER_WORKERS": "1"})
    with LocalEndpoint(EndpointConfig(NAME, (definition,)), lambda _: None) as running:
        yield running


def body(inputs: str, pause: float = 0) -> str:
    return json.dumps({"inputs": inputs, "pause": pause})


def events(endpoint: LocalEndpoint, text: str) -> Iterator[bytes]:
    answer = runtime_client(endpoint.url).invoke_endpoint_with_response_stream(
        EndpointName=NAME, ContentType="application/json", Body=text.encode()
    )
    assert answer["ContentType"] == "text/event-stream"
    return (event["PayloadPart"]["Bytes"] for event in answer["Body"])


@pytest.mark.contract("HOST-65", "HOST-67")
def test_the_first_part_is_there_while_the_handler_makes_the_next(endpoint: LocalEndpoint) -> None:
    stream = events(endpoint, body("go", pause=1))
    assert next(stream) == EVENTS[0]
    with urlopen(f"{endpoint.url}/metrics") as metrics:
        assert b"requests_running 1" in metrics.read()
    assert b"".join(stream) == b"".join(EVENTS[1:])


@pytest.mark.contract("HOST-68")
def test_a_stream_that_breaks_off_is_an_error_of_the_model(endpoint: LocalEndpoint) -> None:
    received = []
    with pytest.raises(EventStreamError) as caught:
        received.extend(events(endpoint, body("break")))
    assert caught.value.response["Error"]["Code"] == "ModelStreamError"
    assert "broke off in the middle" in caught.value.response["Error"]["Message"]
    assert received in ([], [EVENTS[0]])


@pytest.mark.contract("HOST-65", "HOST-68")
@pytest.mark.parametrize(("inputs", "code", "printed"), [("go", 0, EVENTS), ("break", 1, EVENTS[:1])])
def test_the_command_line_prints_the_parts_and_says_how_they_end(
    inputs: str, code: int, printed: list[bytes], endpoint: LocalEndpoint
) -> None:
    command = [sys.executable, str(ROOT / "build.py"), "invoke", "--url", endpoint.url, "--stream"]
    request = ["--content-type", "application/json", "--text", body(inputs)]
    result = subprocess.run([*command, *request], capture_output=True, check=False)
    assert (result.returncode, result.stdout) == (code, b"".join(printed))
    assert (b"ModelStreamError" in result.stderr) == (code == 1)
