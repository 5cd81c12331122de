"""Bidirectional streams: a real WebSocket client, and raw frames where it is too polite."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import struct
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.unit.serving.conftest import PATIENCE, eventually

TALKING = """
import asyncio, os, time
from pathlib import Path

def model_fn(model_dir):
    return {"pid": os.getpid()}

def transform_fn(model, body, content_type, accept):
    return str(os.getpid()), "text/plain"

async def bidirectional_fn(stream, model, context):
    base = Path(os.environ["BASE"])
    try:
        async for message in stream:
            if message == "path":
                await stream.send(stream.path + " " + (context.get_request_header(0, "X-Test") or ""))
            elif message == "pid":
                await stream.send(str(os.getpid()))
            elif message == "parts":
                await stream.send("one,", is_last=False)
                await stream.send("two", is_last=True)
            elif message == "flood":
                for number in range(400):
                    await stream.send(b"x" * 65536)
                    (base / "sent").write_text(str(number))
            elif message == "fail":
                raise RuntimeError("on purpose")
            elif message == "leave":
                return
            elif message == "code":
                stream.close(4001, "mine")
                return
            elif message == "think":
                while not (base / "go").exists():
                    await asyncio.sleep(0.01)
                await stream.send("thought")
            elif message in ("count", "compute"):
                while not (base / "go").exists() and message == "count":
                    await asyncio.sleep(0.01)
                if message == "compute":
                    time.sleep(2)  # nothing else goes on in this process
                taken = 0
                async for part in stream:
                    taken += len(part)
                    if part == "end":
                        break
                await stream.send(str(taken))
            elif message == "exit":
                os._exit(3)
            else:
                await stream.send(message)
    finally:
        (base / "left").touch()
"""
PATH = "/invocations-bidirectional-stream"


@pytest.fixture
def server(start):
    return start(TALKING, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()


def client_of(server, path=PATH, **options):
    return connect(
        f"ws://127.0.0.1:{server.port}{path}",
        open_timeout=PATIENCE,
        close_timeout=PATIENCE,
        max_size=None,
        **options,
    )


@pytest.mark.contract("HOST-121", "HOST-122")
def test_messages_come_back_as_they_are_text_as_text_and_bytes_as_bytes(server):
    with client_of(server) as client:
        for message in ("hello", "ä€😀", b"\x00\xff", "", b"", "x" * 300_000, os.urandom(300_000)):
            client.send(message)
            assert client.recv(PATIENCE) == message


@pytest.mark.contract("HOST-121")
def test_the_handler_sees_path_query_and_headers(server):
    with client_of(server, "/another/path?voice=a%20b", additional_headers={"X-Test": "yes"}) as client:
        client.send("path")
        assert client.recv(PATIENCE) == "/another/path?voice=a%20b yes"


@pytest.mark.contract("HOST-122")
def test_one_part_is_one_frame_both_ways(server):
    with client_of(server) as client:
        client.send(iter(["a ", "message ", "in parts"]))
        assert client.recv(PATIENCE) == "a message in parts"
        client.send("parts")
        assert list(client.recv_streaming()) == ["one,", "two"]
        client.send(iter([b"\xe2\x82", b"\xac"]))
        assert client.recv(PATIENCE) == b"\xe2\x82\xac"


def test_a_letter_may_be_cut_in_two_between_the_parts_of_a_text(server):
    with client_of(server) as client:
        euro = "€".encode()
        mask = b"\x00\x00\x00\x00"
        for head, data in ((0x01, euro[:1]), (0x00, euro[1:2]), (0x80, euro[2:])):
            client.socket.sendall(bytes([head, 0x80 | len(data)]) + mask + data)
        assert client.recv(PATIENCE) == "€"
        client.socket.sendall(bytes([0x81, 0x81]) + mask + b"\xff")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(PATIENCE)
    assert closed.value.rcvd.code == 1007


@pytest.mark.contract("HOST-123")
def test_a_ping_is_answered_while_the_handler_thinks(server, tmp_path):
    with client_of(server, ping_interval=None) as client:
        client.send("think")
        assert client.ping(b"are you there").wait(PATIENCE)
        (tmp_path / "go").touch()
        assert client.recv(PATIENCE) == "thought"


def test_several_clients_share_one_process_and_invocations_have_another(server):
    with client_of(server) as first, client_of(server) as second:
        first.send("think")
        second.send("pid")
        process = second.recv(PATIENCE)
        assert server.post(b"x").body.decode() not in ("", process)
        with client_of(server) as third:
            third.send("pid")
            assert third.recv(PATIENCE) == process
        eventually(lambda: b"streams_open 2" in server.request("GET", "/metrics").body, "two are open")


@pytest.mark.contract("HOST-124")
@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        ("leave", 1000, ""),
        ("code", 4001, "mine"),
        ("fail", 1011, "RuntimeError: on purpose"),
    ],
)
def test_the_stream_ends_with_the_function_and_says_how(server, message, code, reason):
    with client_of(server) as client:
        client.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(PATIENCE)
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, reason)
    if message == "fail":
        assert 'raise RuntimeError("on purpose")' in server.log


def test_a_client_that_leaves_ends_the_handlers_loop(server, tmp_path):
    with client_of(server):
        pass
    eventually((tmp_path / "left").exists, "the handler's finally has run")


@pytest.mark.contract("HOST-12")
def test_a_process_that_dies_ends_its_streams_and_the_next_client_gets_a_new_one(server):
    with client_of(server) as client:
        client.send("exit")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(PATIENCE)
    assert closed.value.rcvd.code == 1011
    assert server.ping() == 200

    def answers():
        try:
            with client_of(server) as other:
                other.send("again")
                return other.recv(PATIENCE) == "again"
        except (InvalidStatus, ConnectionClosed):
            return False

    eventually(answers, "a new process")


@pytest.mark.contract("HOST-05")
def test_streams_are_closed_when_the_server_stops(server):
    with client_of(server) as client:
        client.send("hello")
        client.recv(PATIENCE)
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(PATIENCE)
        assert closed.value.rcvd.code == 1001
    assert server.process.wait(PATIENCE) == 0
    assert "The process of the streams" not in server.log  # it was ended by us: no reason to look for a fault


def test_a_message_beyond_the_limit_of_a_body_closes_with_1009(start):
    server = start(
        TALKING, SAGEMAKER_MODEL_SERVER_WORKERS=1, SAGEMAKER_MAX_PAYLOAD_IN_MB=1
    ).wait_until_ready()
    with client_of(server) as client:
        # Only the head: the length alone says that it is too much.
        client.socket.sendall(bytes([0x82, 0xFF]) + struct.pack("!Q", 2 << 20) + b"\x00\x00\x00\x00")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(PATIENCE)
    assert closed.value.rcvd.code == 1009


@pytest.mark.contract("HOST-121")
def test_without_a_function_the_upgrade_is_404_and_says_what_to_write(start):
    server = start(
        "def model_fn(model_dir):\n    return len\n", SAGEMAKER_MODEL_SERVER_WORKERS=1
    ).wait_until_ready()
    for _ in range(2):
        with pytest.raises(InvalidStatus) as refused:
            client_of(server)
        assert refused.value.response.status_code == 404
        assert b"bidirectional_fn(stream, model)" in refused.value.response.body
    eventually(lambda: len(server.workers) == 1, "no process is left of it")


def test_a_function_that_is_no_coroutine_function_is_refused_at_the_start(start):
    server = start("def model_fn(d): ...\ndef bidirectional_fn(stream, model): ...\n")
    assert server.process.wait(PATIENCE) == 1
    assert "bidirectional_fn must be a coroutine function: async def." in server.log.splitlines()[0]


def test_a_broken_handshake_is_refused_and_the_server_lives(server):
    lines = [
        b"GET " + PATH.encode() + b" HTTP/1.1",
        b"Host: x",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
    ]
    with server.connect() as client:
        client.sendall(
            b"\r\n".join([*lines, b"Sec-WebSocket-Version: 12", b"Sec-WebSocket-Key: x", b"", b""])
        )
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 4")
    assert b"WebSocket" in answer
    assert server.ping() == 200


def test_a_process_that_cannot_be_started_is_503_and_may_be_started_later(server):
    process = server.process.pid
    taken = {int(path.name) for path in Path(f"/proc/{process}/fd").iterdir()}
    free = next(number for number in itertools.count() if number not in taken)
    before = resource.prlimit(process, resource.RLIMIT_NOFILE)
    # One more connection, and no more sockets.
    limit = next(number for number in itertools.count(free + 1) if number not in taken)
    resource.prlimit(process, resource.RLIMIT_NOFILE, (limit, before[1]))
    with pytest.raises(InvalidStatus) as refused:
        client_of(server)
    assert refused.value.response.status_code == 503
    assert b"Too many open files" in refused.value.response.body
    resource.prlimit(process, resource.RLIMIT_NOFILE, before)
    with client_of(server) as client:
        client.send("hello")
        assert client.recv(PATIENCE) == "hello"
    assert "Traceback" not in server.log
