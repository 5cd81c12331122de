"""InvokeEndpointWithResponseStream, as the container sees it: a POST whose answer comes in chunks."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.conformance.endpoints import (
    Handlers,
    eventually_logged,
    raw_connection,
    until_closed,
    until_received,
)
from toolkit.serving.endpoint import Endpoint

EVENTS = [b'data: {"word": "%b"}\n\n' % word for word in (b"first", b"second", b"third")]


@pytest.fixture(scope="module")
def streaming(handlers: Handlers) -> Iterator[Endpoint]:
    """Serves handlers/streams.py with one worker."""
    with handlers.serve("streams.py", environment={"SAGEMAKER_MODEL_SERVER_WORKERS": "1"}) as running:
        yield running


def request(inputs: str, gate: str | None = None) -> bytes:
    body = json.dumps({"inputs": inputs, "pause": 0, "gate": gate}).encode()
    lines = ["POST /invocations HTTP/1.1", "Host: x", "Content-Type: application/json", "Connection: close"]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def chunks(body: bytes) -> list[bytes]:
    """The chunks of a whole chunked body.

    Raises:
        ValueError: the last one is missing.
    """
    found = []
    while True:
        size, _, body = body.partition(b"\r\n")
        if int(size, 16) == 0:
            return found
        found.append(body[: int(size, 16)])
        body = body[int(size, 16) + 2 :]


@pytest.mark.contract("HOST-65", "HOST-69")
def test_each_part_is_a_chunk_and_an_event_of_its_own(streaming: Endpoint) -> None:
    with raw_connection(streaming) as connection:
        connection.sendall(request("go"))
        head, _, body = until_closed(connection).partition(b"\r\n\r\n")
    assert b"\r\nTransfer-Encoding: chunked\r\n" in head
    assert b"\r\nContent-Type: text/event-stream\r\n" in head
    assert chunks(body) == EVENTS


@pytest.mark.contract("HOST-66", "HOST-67")
def test_the_first_part_comes_while_the_others_are_made_and_ping_is_answered(streaming: Endpoint) -> None:
    with raw_connection(streaming) as connection:
        connection.sendall(request("go", gate="/tmp/read"))
        assert EVENTS[1] not in until_received(connection, EVENTS[0])
        assert streaming.ping().status == 200
        streaming.container.exec(["touch", "/tmp/read"], b"")
        assert EVENTS[2] in until_closed(connection)


@pytest.mark.contract("HOST-68")
def test_a_failure_in_the_middle_breaks_the_connection_off(streaming: Endpoint) -> None:
    with raw_connection(streaming) as connection:
        connection.sendall(request("break"))
        head, _, body = until_closed(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert EVENTS[0] in body
    with pytest.raises(ValueError, match="invalid literal"):
        chunks(body)
    eventually_logged(streaming, "RuntimeError: half is sent")
    assert streaming.ping().status == 200
