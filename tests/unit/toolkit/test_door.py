"""The runtime API in front of a server of this process: what one connection carries, time after time."""

from __future__ import annotations

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
from toolkit.http_client import OpenAnswer, begin

INVOCATIONS = "/endpoints/here/invocations"


class Container(BaseHTTPRequestHandler):
    """Answers with the status that the body names."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        code = int(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response_only(code)
        if code != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def do_HEAD(self) -> None:
        self.send_response_only(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


class OfThisProcess(Fleet):
    """A fleet whose one container is a server here."""

    def __init__(self, port: int) -> None:
        super().__init__([ContainerDefinition("an-image:1")], Instance(), lambda *_: None)
        self._port = port

    def ask(self, index, method, path, headers, body, limit) -> OpenAnswer:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=limit)
        begin(connection, method, path, headers, body)
        return OpenAnswer(connection, limit)


@pytest.fixture
def client() -> Iterator[HTTPConnection]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Container) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        fleet = OfThisProcess(server.server_address[1])
        runtime = Runtime("here", SingleModel(fleet), Limits(payload=1000))
        with Door(runtime, fleet, RequestLog(lambda _: None, 1000), None) as door:
            door.open()
            connection = HTTPConnection(door.url.removeprefix("http://"), timeout=30)
            yield connection
            connection.close()
        server.shutdown()


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
