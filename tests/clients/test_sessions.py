"""Sessions through the runtime API of `build.py serve`: by boto3, by SDK 3 and by `build.py invoke`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response
from websockets.sync.client import connect

from tests.clients.artifacts import SCRIPTS, runtime_client
from tests.conformance.endpoints import HANDLERS
from tests.sdks import Sdk
from toolkit.building.images import ROOT
from toolkit.hosting.fleet import ContainerDefinition
from toolkit.hosting.local_endpoint import EndpointConfig, LocalEndpoint

NAME = "with-sessions"
NEW, OPEN, CLOSE = "NEW_SESSION", '{"requestType": "NEW_SESSION"}', '{"requestType": "CLOSE"}'


@pytest.fixture(scope="module")
def endpoint(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEndpoint]:
    """Serves the conformance suite's counts.py, which counts the requests of a session."""
    model = tmp_path_factory.mktemp("model")
    (model / "code").mkdir()
    (model / "code" / "inference.py").write_text((HANDLERS / "counts.py").read_text())
    definition = ContainerDefinition(image, model, {"SAGEMAKER_ENABLE_STATEFUL_SESSIONS": "true"})
    with LocalEndpoint(EndpointConfig(NAME, (definition,)), lambda _: None) as running:
        yield running


@pytest.mark.contract("HOST-103", "HOST-104", "HOST-54")
def test_boto3_opens_uses_and_closes_a_session(endpoint: LocalEndpoint) -> None:
    client = runtime_client(endpoint.url)

    def invoke(body: str, session: str) -> Any:
        content = {"ContentType": "application/json", "Body": body.encode()}
        return client.invoke_endpoint(EndpointName=NAME, SessionId=session, **content)

    name, _, expires = invoke(OPEN, NEW)["NewSessionId"].partition("; Expires=")
    assert expires
    assert [json.loads(invoke("[]", name)["Body"].read())["count"] for _ in range(3)] == [1, 2, 3]
    assert invoke(CLOSE, name)["ClosedSessionId"] == name
    with pytest.raises(ClientError) as caught:
        invoke("[]", name)
    assert caught.value.response["Error"]["Code"] == "ModelError"
    assert caught.value.response["OriginalStatusCode"] == 400
    assert name in caught.value.response["OriginalMessage"]
    with pytest.raises(ClientError, match="cannot be created by InvokeEndpointWithResponseStream"):
        client.invoke_endpoint_with_response_stream(EndpointName=NAME, SessionId=NEW, Body=b"[]")


@pytest.mark.contract("HOST-103")
def test_the_endpoint_of_sdk_3_opens_uses_and_closes_a_session(endpoint: LocalEndpoint, sdk_v3: Sdk) -> None:
    request = {"endpoint": NAME, "opens": OPEN, "uses": ["[1]", "[2]"], "closes": CLOSE}
    outcome = sdk_v3.run(
        SCRIPTS / "endpoint_of_core.py", request, AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME=endpoint.url
    )
    assert outcome.exit_code == 0, outcome.log
    name = outcome.result["opened"].partition(";")[0]
    assert [(one["session"], one["count"]) for one in outcome.result["used"]] == [(name, 1), (name, 2)]
    assert outcome.result["closed"] == name
    assert outcome.result["error"].startswith("ModelError: ")
    assert f"Session '{name}' is not open" in outcome.result["error"]


@pytest.mark.contract("HOST-103")
def test_the_command_line_opens_and_uses_a_session(endpoint: LocalEndpoint) -> None:
    def invoke(session: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "build.py"), "invoke", "--url", endpoint.url]
        request = ["--content-type", "application/json", "--text", "[]", "--session-id", session]
        return subprocess.run([*command, *request], capture_output=True, text=True, check=False)

    first = invoke(NEW)
    header, _, name = first.stderr.partition(";")[0].partition(": ")
    assert header == "x-amzn-sagemaker-new-session-id"
    told = [json.loads(result.stdout) for result in (first, invoke(name))]
    assert [(one["session"], one["count"]) for one in told] == [(name, 1), (name, 2)]
    unknown = invoke("nobodys")
    assert unknown.returncode == 1
    assert unknown.stderr.startswith("error: the container answered 400: ")
    assert "Session 'nobodys' is not open" in unknown.stderr


@pytest.mark.contract("HOST-121", "HOST-122")
@pytest.mark.parametrize("path", ["/invocations-bidirectional-stream", "/v1/talk"])
def test_a_stream_is_told_to_go_to_the_container_itself(path: str, endpoint: LocalEndpoint) -> None:
    # The platform's own door to it is HTTP/2 on another port; a container's is WebSocket.
    def refused(url: str) -> Response:
        with pytest.raises(InvalidStatus) as caught:
            connect(url.replace("http:", "ws:") + path, proxy=None)
        return caught.value.response

    container = endpoint.fleet.url()
    at_the_door = refused(endpoint.url)
    assert (at_the_door.status_code, container in at_the_door.body.decode()) == (400, True)
    assert b"has no bidirectional_fn" in refused(container).body
