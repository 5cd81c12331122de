"""Why a crowd of clients is not served, by what the kernel counts in a container."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.conformance.crowds import crowd
from tests.conformance.diagnosis import PORT, Listener, listeners
from tests.conformance.endpoints import eventually, raw_connection
from tests.conformance.once import CauseError
from tests.integration import tiny_image
from toolkit.serving.endpoint import Endpoint

# A queue of few places, from which nobody is accepted before a file is there; then each client is hung up on.
RELUCTANT = """
import os, socket, time
server = socket.create_server(("0.0.0.0", 8080), backlog=2)
while not os.path.exists("/tmp/go"):
    time.sleep(0.02)
while True:
    server.accept()[0].close()
"""


@pytest.fixture
def reluctant(tiny: str) -> Iterator[Endpoint]:
    texts = {"/app/serve.py": (RELUCTANT, 0o755)}
    with (
        tiny_image.variant("reluctant", 'ENTRYPOINT ["python3", "/app/serve.py"]', texts=texts) as image,
        Endpoint(image, wait=False) as endpoint,
    ):
        eventually(lambda: Listener(PORT, is_loopback=False) in listeners(endpoint), "the server listens")
        yield endpoint
        endpoint.stop(0)


def come(endpoint: Endpoint, resources: ExitStack) -> list[socket.socket]:
    """Ten clients that have said something."""
    clients = [resources.enter_context(raw_connection(endpoint)) for _ in range(10)]
    for client in clients:
        client.settimeout(5)
        client.sendall(b"GET")
    return clients


def test_clients_that_nobody_accepts_are_named_as_the_cause(reluctant: Endpoint) -> None:
    with (
        pytest.raises(CauseError, match="connections wait for the server to accept them") as caught,
        ExitStack() as resources,
        crowd(reluctant),
    ):
        come(reluctant, resources)[0].recv(1)
    assert caught.value.cause == "clients-wait"


def test_a_queue_that_was_full_is_named_as_the_cause(reluctant: Endpoint) -> None:
    with (
        pytest.raises(CauseError, match="the queue of connections to port 8080 was full") as caught,
        ExitStack() as resources,
        crowd(reluctant),
    ):
        clients = come(reluctant, resources)
        with pytest.raises(TimeoutError):
            clients[0].recv(1)
        reluctant.container.exec(["touch", "/tmp/go"], b"")
        for client in clients:
            assert client.recv(1) == b""
        raise EOFError("the server closed the connection instead of an answer")
    assert caught.value.cause == "queue-full"


def test_a_cause_that_the_kernel_does_not_know_is_left_as_it_is(reluctant: Endpoint) -> None:
    reluctant.container.exec(["touch", "/tmp/go"], b"")
    with pytest.raises(EOFError, match="of another kind"), crowd(reluctant):
        raise EOFError("of another kind")
