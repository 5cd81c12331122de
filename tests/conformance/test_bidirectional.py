"""Bidirectional streams, as the container sees them: WebSocket connections to the port of the platform."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from threading import Timer
from typing import Any
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.frames import Close
from websockets.sync.client import ClientConnection, connect

from tests.conformance.endpoints import PATIENCE, Handlers, eventually, eventually_logged
from toolkit.serving.endpoint import Endpoint

LABEL = "com.amazonaws.sagemaker.capabilities.bidirectional-streaming"
MOST_PARTS = 10  # of a message that may never end
PATH = "/invocations-bidirectional-stream"
# Where the container runs -> what that takes
PLACES: dict[str, dict[str, Any]] = {
    "as-root": {},
    "as-anybody-with-nothing-but-tmp": {"user": "31415:27182", "read_only": True},
}


@pytest.fixture(scope="module")
def with_streams(handlers: Handlers) -> Handlers:
    """`handlers`, of an image whose handlers can talk."""
    return handlers


@pytest.fixture(scope="module", params=PLACES.values(), ids=PLACES)
def talking(request: pytest.FixtureRequest, with_streams: Handlers) -> Iterator[Endpoint]:
    """Serves handlers/talks.py."""
    with with_streams.serve("talks.py", **request.param) as running:
        yield running


def stream(endpoint: Endpoint, path: str = PATH, **options: Any) -> ClientConnection:
    """A client's stream; without compression, which the platform does not speak of."""
    return connect(
        endpoint.url.replace("http:", "ws:") + path,
        proxy=None,
        compression=None,
        open_timeout=PATIENCE,
        close_timeout=PATIENCE,
        max_size=None,
        **options,
    )


def said(client: ClientConnection, message: str | bytes) -> str | bytes:
    client.send(message)
    return client.recv(PATIENCE)


def parts_of(client: ClientConnection) -> list[str | bytes]:
    """The first parts of the next message; ConnectionClosed where it neither ends nor goes on."""
    watch = Timer(PATIENCE, client.close_socket)  # a stream of parts knows no time limit of its own
    watch.start()
    try:
        return list(islice(client.recv_streaming(), MOST_PARTS))
    finally:
        watch.cancel()


def end_of(client: ClientConnection) -> Close:
    """The close frame that the container sends."""
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(PATIENCE)
    assert closed.value.rcvd is not None, "the connection broke off"
    return closed.value.rcvd


def lives_on(endpoint: Endpoint) -> bool:
    with stream(endpoint) as client:
        return endpoint.ping().status == 200 and said(client, "hello") == "hello"


@pytest.mark.contract("HOST-121", "HOST-122")
def test_text_and_bytes_come_back_as_what_they_were(talking: Endpoint) -> None:
    with stream(talking) as client:
        for message in ("hello", "grün €", "", b"", b"\x00\xff", "x" * 1_000_000, os.urandom(1_000_000)):
            assert said(client, message) == message


@pytest.mark.contract("HOST-121")
def test_the_handler_is_told_path_query_and_headers(talking: Endpoint) -> None:
    with stream(talking, "/v1/talk?voice=a%20b", additional_headers={"X-Test": "yes"}) as client:
        told = json.loads(said(client, "facts"))
    assert (told["path"], told["header"], told["model"]) == ("/v1/talk?voice=a%20b", "yes", "/opt/ml/model")


@pytest.mark.contract("HOST-122")
def test_parts_of_a_message_are_frames_both_ways(talking: Endpoint) -> None:
    with stream(talking) as client:
        assert said(client, iter(("a ", "message ", "in parts"))) == "a message in parts"
        client.send("parts")
        assert parts_of(client) == ["one ", "message"]


@pytest.mark.contract("HOST-123", "HOST-45")
def test_a_ping_is_answered_while_the_handler_does_not_come_to_it(talking: Endpoint) -> None:
    with stream(talking, ping_interval=None) as client:
        assert said(client, "first") == "first"
        client.send("block")
        assert client.ping().wait(PATIENCE)
        assert talking.ping().status == 200
        talking.container.exec(["touch", "/tmp/unblocked"], b"")
        assert client.recv(PATIENCE) == "unblocked"


@pytest.mark.contract("HOST-121", "HOST-33")
def test_many_streams_at_once_get_their_own_answers_beside_requests(talking: Endpoint) -> None:
    def talk(number: int) -> bool:
        with stream(talking) as client:
            return all(said(client, f"{number} {count}") == f"{number} {count}" for count in range(20))

    with ThreadPoolExecutor(16) as pool:
        talks = [pool.submit(talk, number) for number in range(16)]
        processes = {json.loads(talking.invoke(b"", "text/csv").body)["process"] for _ in range(20)}
        assert all(one.result() for one in talks)
    with stream(talking) as client:
        assert json.loads(said(client, "facts"))["process"] not in processes


@pytest.mark.contract("HOST-124")
def test_a_client_that_closes_ends_the_loop_of_the_handler(talking: Endpoint) -> None:
    path = f"/{uuid4()}"
    with stream(talking, path) as client:
        assert said(client, "hello") == "hello"
    assert client.close_code == 1000
    eventually_logged(talking, f"talks.py: {path} is over")
    assert lives_on(talking)


@pytest.mark.contract("HOST-124", "HOST-12")
def test_a_client_that_vanishes_ends_the_loop_of_the_handler(talking: Endpoint) -> None:
    path = f"/{uuid4()}"
    with stream(talking, path) as client:
        assert said(client, "hello") == "hello"
        client.socket.close()
    eventually_logged(talking, f"talks.py: {path} is over")
    assert lives_on(talking)


@pytest.mark.contract("HOST-124")
@pytest.mark.parametrize(("message", "end"), [("leave", Close(1000, "")), ("close", Close(4321, "enough"))])
def test_a_handler_ends_its_stream_and_says_how(message: str, end: Close, talking: Endpoint) -> None:
    with stream(talking) as client, stream(talking) as other:
        client.send(message)
        assert end_of(client) == end
        assert said(other, "still here") == "still here"


@pytest.mark.contract("HOST-124", "HOST-55")
def test_a_handler_that_raises_in_the_middle_ends_only_its_own_stream(talking: Endpoint) -> None:
    with stream(talking) as client, stream(talking) as other:
        client.send("fail")
        assert end_of(client) == Close(1011, "RuntimeError: talks.py fails on purpose")
        assert said(other, "still here") == "still here"
    eventually_logged(talking, 'raise RuntimeError("talks.py fails on purpose")')


@pytest.mark.contract("HOST-124", "HOST-12")
def test_a_handler_that_ends_its_process_is_there_again_for_the_next_client(talking: Endpoint) -> None:
    with stream(talking) as client:
        client.send("end")
        assert end_of(client).code == 1011

    def is_back() -> bool:
        try:
            return lives_on(talking)
        except (InvalidStatus, ConnectionClosed):
            return False

    eventually(is_back, "a stream after the end of the process")


@pytest.mark.contract("HOST-05", "HOST-124")
def test_sigterm_closes_each_stream_with_going_away(with_streams: Handlers) -> None:
    with with_streams.serve("talks.py") as running, stream(running) as idle, stream(running) as busy:
        assert said(idle, "hello") == "hello"
        busy.send("block")
        with ThreadPoolExecutor(1) as pool:
            stopping = pool.submit(running.stop)
            assert [end_of(client).code for client in (idle, busy)] == [1001, 1001]
            stop = stopping.result()
    assert stop.by_itself
    assert stop.exit_code == 0


@pytest.mark.contract("HOST-120", "HOST-121", "HOST-35")
def test_a_model_talks_only_in_an_image_whose_label_says_so(
    endpoint: Endpoint, facts: Mapping[str, Any]
) -> None:
    claimed = (facts["Config"]["Labels"] or {}).get(LABEL) == "true"
    try:
        with stream(endpoint):
            status = 101
    except InvalidStatus as refused:
        status = refused.response.status_code
    except InvalidMessage as unread:
        if isinstance(unread.__cause__, EOFError):  # no answer at all
            raise
        return  # one of HTTP/1.0, which opens no stream
    # Where the label is, the model's own handler decides; without it the platform opens no stream.
    assert status in {403, 404, 405} or (claimed and status == 101)
