"""The runtime API in front of a server of this process: what one connection carries, time after time."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from toolkit.hosting.door import Door
from toolkit.hosting.fleet import ContainerDefinition, Fleet, Instance
from toolkit.hosting.limits import Limits
from toolkit.hosting.request_log import RequestLog
from toolkit.hosting.routes import SingleModel
from toolkit.hosting.runtime import Runtime
from toolkit.serving.model_server import ModelServer

INVOCATIONS = "/endpoints/here/invocations"


class Container(BaseHTTPRequestHandler):
    """Answers with the status that the body names, or, to `hold`, with 200 once the gate is open."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body == b"hold":
            self.server.holds.set()
            assert self.server.gate.wait(30)
        code = 200 if body == b"hold" else int(body)
        self.send_response_only(code)
        if code != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def do_HEAD(self) -> None:
        self.send_response_only(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


class OfThisProcess(ModelServer):
    """The server, in the place of a container."""

    def __init__(self, port: int) -> None:
        self._port = port

    def connect(self, timeout: float = 60.0) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self._port, timeout=timeout)


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Container) as server:
        server.holds, server.gate = threading.Event(), threading.Event()
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.gate.set()
        server.shutdown()


@pytest.fixture
def door(server: ThreadingHTTPServer, request: pytest.FixtureRequest) -> Iterator[Door]:
    """With limits of its own where a test asks for them."""
    fleet = Fleet([ContainerDefinition("an-image:1")], Instance(), lambda *_: None)
    fleet._endpoints, fleet._is_up = [OfThisProcess(server.server_address[1])], True
    limits = Limits(payload=1000, **getattr(request, "param", {}))
    runtime = Runtime("here", SingleModel(fleet), limits)
    with Door(runtime, fleet, RequestLog(lambda _: None, 1000), None) as door:
        door.open()
        yield door


def connect(door: Door) -> HTTPConnection:
    return HTTPConnection(door.url.removeprefix("http://"), timeout=30)


@pytest.fixture
def client(door: Door) -> Iterator[HTTPConnection]:
    connection = connect(door)
    yield connection
    connection.close()


def status(client: HTTPConnection, path: str, body: bytes | None = b"200", method: str = "POST") -> int:
    client.request(method, path, body)
    answer = client.getresponse()
    answer.read()
    return answer.status


@pytest.mark.parametrize("path", ["/endpoints/another/invocations", "/endpoints/here/no-such-operation"])
def test_the_body_of_a_refused_request_is_not_taken_for_the_next_request(client, path) -> None:
    assert status(client, path) == 400
    port = client.sock.getsockname()[1]
    assert status(client, INVOCATIONS) == 200
    assert client.sock.getsockname()[1] == port  # the same connection


@pytest.mark.parametrize(("method", "path", "body"), [("POST", "/invocations", b"204"), ("HEAD", "/", None)])
def test_an_answer_that_has_no_body_is_not_given_one(client, method, path, body) -> None:
    client.request(method, path, body, {"Connection": "close"})
    with client.sock.makefile("rb") as stream:
        head, _, rest = stream.read().partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert rest == b""


@pytest.mark.contract("HOST-90")
@pytest.mark.parametrize("door", [{"concurrency": 1}], indirect=True)
def test_more_requests_at_once_than_max_concurrency_are_throttled(server, door, client) -> None:
    first = connect(door)
    first.request("POST", INVOCATIONS, b"hold")
    assert server.holds.wait(30)
    client.request("POST", INVOCATIONS, b"200")
    refused = client.getresponse()
    refused.read()
    assert (refused.status, refused.headers["x-amzn-ErrorType"]) == (429, "ThrottlingException")
    server.gate.set()
    assert first.getresponse().read() == b""
    first.close()
    # Who has an answer is not one too many with the next request.
    assert [status(client, path) for path in (INVOCATIONS, "/invocations") * 20] == [200] * 40


@pytest.mark.contract("HOST-50")
@pytest.mark.parametrize("door", [{"invocation": 0.2}], indirect=True)
def test_an_answer_that_is_late_is_a_model_error_without_a_status(client) -> None:
    client.request("POST", INVOCATIONS, b"hold")  # until the end of the test
    answer = client.getresponse()
    error = json.loads(answer.read())
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (424, "ModelError")
    assert error["OriginalStatusCode"] == 0
    assert "timed out while waiting for a response from container primary" in error["OriginalMessage"]
