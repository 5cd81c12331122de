"""Streams whose one side is slower than the other: nothing piles up in between."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.unit.serving.conftest import PATIENCE, eventually
from tests.unit.serving.test_bidirectional import TALKING, client_of

MANY = 4000  # of 64 KB: more than the kernel keeps for a connection


@pytest.fixture
def server(start):
    return start(TALKING, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()


def test_a_client_that_does_not_read_holds_up_the_handler(server, tmp_path):
    with client_of(server, max_queue=1) as client:
        client.send("flood")
        sent = tmp_path / "sent"
        eventually(sent.exists, "the handler sends")
        amounts = []

        def is_still():
            amounts.append(sent.read_text())
            return len(amounts) > 30 and len(set(amounts[-30:])) == 1

        eventually(is_still, "the handler waits")
        assert int(amounts[-1]) < 399
        received = [client.recv(PATIENCE) for _ in range(400)]
    assert {len(part) for part in received} == {65536}


def test_a_handler_that_does_not_take_holds_up_the_client(server, tmp_path):
    with client_of(server) as client:
        client.send("count")
        sent = []

        def send():
            for number in range(MANY):
                client.send(b"y" * 65536)
                sent.append(number)

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        amounts = []

        def is_still():
            amounts.append(len(sent))
            return amounts[-1] > 0 and len(amounts) > 30 and len(set(amounts[-30:])) == 1

        eventually(is_still, "the client waits")
        assert amounts[-1] < MANY
        (tmp_path / "go").touch()
        thread.join(PATIENCE)
        client.send("end")
        assert int(client.recv(PATIENCE)) == MANY * 65536 + 3


def test_a_client_that_sends_while_the_handler_computes_fills_no_memory(server):
    def peak() -> int:
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    with client_of(server) as client:
        client.send("hello")
        assert client.recv(PATIENCE) == "hello"
        before = peak()
        client.send("compute")
        for _ in range(MANY):
            client.send(bytes(65536))
        client.send("end")
        assert int(client.recv(PATIENCE)) == MANY * 65536 + len("end")
        assert peak() - before < 64 * 1024 * 1024
