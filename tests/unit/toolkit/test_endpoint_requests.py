"""What is sent to a model server, byte by byte, and what an endpoint asks of Docker."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from toolkit.errors import ToolkitError
from toolkit.hosting.client import EndpointClient
from toolkit.machine.run_spec import Bind
from toolkit.serving.endpoint import Endpoint
from toolkit.serving.http_client import Response, send
from toolkit.serving.relay import SCRIPT, RelayedConnection

MODEL = Bind(Path("/models/one"), "/opt/ml/model", read_only=True)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: Text/CSV; charset=utf-8\r\nContent-Length: 3\r\n\r\n1\n2"


class Recorder:
    """Takes the place of a server: keeps the request, gives `ANSWER`."""

    def __init__(self) -> None:
        self.request = b""

    def __call__(self, request: bytes, limit: float) -> bytes:
        self.request = request
        return ANSWER

    def send(self, *arguments: object) -> Response:
        return send(RelayedConnection("localhost:8080", self, 60.0), *arguments)  # type: ignore[arg-type]


@pytest.mark.contract("HOST-57")
def test_no_header_is_sent_that_was_not_given() -> None:
    recorder = Recorder()
    recorder.send("POST", "/invocations", {}, b"1,2")
    head, _, body = recorder.request.partition(b"\r\n\r\n")
    first, *headers = head.split(b"\r\n")
    assert first == b"POST /invocations HTTP/1.1"
    assert set(headers) == {b"Host: localhost:8080", b"Content-Length: 3", b"Connection: close"}
    assert body == b"1,2"


@pytest.mark.contract("BATCH-07")
def test_parts_are_sent_as_chunks_without_a_length() -> None:
    recorder = Recorder()
    recorder.send("POST", "/invocations", {}, iter([b"1,2\n", b"3,4\n"]))
    head, _, body = recorder.request.partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert b"Content-Length" not in head
    assert body == b"4\r\n1,2\n\r\n4\r\n3,4\n\r\n0\r\n\r\n"


def test_a_ping_has_no_body() -> None:
    recorder = Recorder()
    recorder.send("GET", "/ping", {})
    assert recorder.request.endswith(b"\r\n\r\n")
    assert b"Content-Length" not in recorder.request


@pytest.mark.contract("HOST-50")
def test_a_server_that_is_asked_from_inside_has_no_more_time_than_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]

        def inside(request: bytes, limit: float) -> bytes:
            words = [sys.executable, "-c", SCRIPT, str(port), str(len(request)), str(limit)]
            ended = subprocess.run(words, input=request, capture_output=True)
            raise ToolkitError(ended.stderr.decode().strip().rpartition("\n")[2])

        with pytest.raises(TimeoutError):
            send(RelayedConnection(f"localhost:{port}", inside, 0.1), "GET", "/ping", {})


@pytest.mark.contract("HOST-58")
def test_the_media_type_of_an_answer_is_without_parameters() -> None:
    response = Recorder().send("GET", "/ping", {})
    assert (response.status, response.media_type, response.text) == (200, "text/csv", "1\n2")


@pytest.mark.contract("HOST-01", "HOST-21")
def test_the_model_is_mounted_read_only_and_the_port_is_on_loopback() -> None:
    line = Endpoint("an-image", port=8081, environment={"A": "b"}).spec((MODEL,)).command_line()
    assert line.startswith("docker run --rm --shm-size=")
    assert line.endswith("-p 127.0.0.1:8081:8080 -e A=b -v /models/one:/opt/ml/model:ro an-image serve")


@pytest.mark.contract("PIPE-01")
def test_the_port_that_the_environment_names_is_published() -> None:
    spec = Endpoint("an-image", environment={"SAGEMAKER_BIND_TO_PORT": "9999"}).spec(())
    assert dict(spec.ports) == {9999: None}


def test_a_port_that_is_no_number_is_named() -> None:
    with pytest.raises(ToolkitError, match="SAGEMAKER_BIND_TO_PORT=http is not a port number"):
        Endpoint("an-image", environment={"SAGEMAKER_BIND_TO_PORT": "http"})


@pytest.mark.contract("HOST-93", "HOST-115")
def test_a_narrow_endpoint_has_no_network_and_writes_only_below_tmp() -> None:
    spec = Endpoint("an-image", isolated=True, read_only=True, user="31415").spec(())
    assert (spec.network, dict(spec.ports), spec.tmpfs, spec.read_only, spec.user) == (
        "none",
        {},
        ("/tmp",),
        True,
        "31415",
    )


@pytest.mark.parametrize("url", ["http://127.0.0.1:808O", "https://127.0.0.1", "http://", "ftp://x"])
def test_a_url_that_is_none_is_told_without_a_traceback(url):
    with pytest.raises(ToolkitError, match="this is not http://HOST:PORT"):
        EndpointClient(url)
