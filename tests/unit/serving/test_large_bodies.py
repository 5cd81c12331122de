"""Bodies that are too large for memory go through a file, and nothing of it stays."""

from __future__ import annotations

import hashlib
import resource
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from opt_ml.serving.http.bodies import BodyMemory
from opt_ml.serving.http.request_reader import Request, RequestReader
from opt_ml.serving.http.spool import SPOOL_BYTES, read_spooled

from tests.unit.serving.conftest import PATIENCE, Server, eventually, is_alive

MEGABYTE = 1024 * 1024

# The digest is of what the handler got, so that nothing may be lost, doubled or out of order.
HASHING = """
import hashlib, os, time

def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept):
    if body[:5] == b"sleep":
        time.sleep(60)
    if body[:3] == b"die":
        os.kill(os.getpid(), 9)
    return f"{len(body)} {hashlib.sha256(body).hexdigest()}", "text/plain"
"""


def pattern(megabytes: int, start: bytes = b"") -> bytes:
    block = b"".join(number.to_bytes(4, "big") for number in range(MEGABYTE // 4))
    return (start + block * megabytes)[: megabytes * MEGABYTE]


def digest(body: bytes) -> bytes:
    return f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode()


def peak(process: int) -> int:
    """Bytes of memory that a process has had at most."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def spooled(server: Server) -> list[str]:
    """The bodies on disk that the front has open."""
    found = []
    for link in Path(f"/proc/{server.process.pid}/fd").iterdir():
        try:
            target = str(link.readlink())
        except FileNotFoundError:
            continue
        if target.startswith(str(server.base)) and target.endswith("(deleted)"):
            found.append(target)
    return found


@pytest.fixture
def server(start, tmp_path) -> Server:
    spool = tmp_path / "spool"
    spool.mkdir()
    return start(
        HASHING, SAGEMAKER_MAX_PAYLOAD_IN_MB=1024, SAGEMAKER_MODEL_SERVER_WORKERS=1, TMPDIR=spool
    ).wait_until_ready()


def head(length: int) -> bytes:
    lines = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\nContent-Length: %d\r\n\r\n"
    return lines % length


def in_parts(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 700_001):
        yield body[start : start + 700_001]


@pytest.mark.contract("HOST-100", "HOST-101", "BATCH-07")
@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_large_body_arrives_whole_and_the_front_does_not_hold_it(server, is_chunked):
    body = pattern(200)
    before = peak(server.process.pid)
    reply = server.post(in_parts(body) if is_chunked else body, "application/octet-stream")
    assert (reply.status, reply.body) == (200, digest(body))
    assert peak(server.process.pid) - before < SPOOL_BYTES + 40 * MEGABYTE
    assert spooled(server) == []
    assert list((server.base / "spool").iterdir()) == []


@pytest.mark.parametrize("megabytes", [6, 33])
def test_a_body_in_tiny_chunks_takes_no_more_memory_than_another(server, megabytes):
    body = pattern(megabytes)
    before = peak(server.process.pid)
    with server.connect() as client:
        client.sendall(head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked"))
        for start in range(0, len(body), MEGABYTE):
            part = body[start : start + MEGABYTE]
            client.sendall(b"".join(b"4\r\n%b\r\n" % part[at : at + 4] for at in range(0, MEGABYTE, 4)))
        client.sendall(b"0\r\n\r\n")
        stream = client.makefile("rb")
        assert stream.readline().startswith(b"HTTP/1.1 200")
        headers = b"".join(iter(stream.readline, b"\r\n"))
        length = int(headers.lower().partition(b"content-length: ")[2].split()[0])
        assert stream.read(length) == digest(body)
    assert peak(server.process.pid) - before < 3 * megabytes * MEGABYTE + 16 * MEGABYTE


def test_requests_behind_a_large_one_on_the_same_connection_are_answered_in_order(server):
    large, small = pattern(40), b"small"
    with server.connect() as client:
        for body in (large, small, large):
            client.sendall(
                b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\nContent-Length: %d\r\n\r\n"
                % len(body)
            )
            client.sendall(body)
        stream = client.makefile("rb")
        answers = []
        for _ in range(3):
            headers = b"".join(iter(stream.readline, b"\r\n"))
            assert headers.startswith(b"HTTP/1.1 200")
            length = int(headers.lower().partition(b"content-length: ")[2].split()[0])
            answers.append(stream.read(length))
    assert answers == [digest(large), digest(small), digest(large)]


def test_a_client_that_goes_in_the_middle_leaves_nothing_on_disk(server):
    with server.connect() as client:
        client.sendall(head(100_000_000) + pattern(40))
        eventually(lambda: spooled(server), "the body is on disk")
    eventually(lambda: not spooled(server), "the file is closed")


def test_a_client_that_goes_while_its_request_waits_leaves_nothing_on_disk(server):
    with server.connect() as first, server.connect() as second:
        for client in (first, second):
            body = pattern(33, b"sleep")
            client.sendall(
                b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\nContent-Length: %d\r\n\r\n"
                % len(body)
            )
            client.sendall(body)
        eventually(lambda: len(spooled(server)) == 2, "both are on disk")
    eventually(lambda: not spooled(server), "both files are closed")


def test_a_front_that_is_killed_leaves_nothing_on_disk(server):
    workers = server.workers
    with server.connect() as client:
        client.sendall(head(100_000_000) + pattern(40))
        eventually(lambda: spooled(server), "the body is on disk")
        server.process.send_signal(signal.SIGKILL)
        server.process.wait(PATIENCE)
    eventually(lambda: not any(map(is_alive, workers)), "the workers die too")
    assert list((server.base / "spool").iterdir()) == []


def test_a_worker_that_dies_of_a_large_body_is_503_and_the_next_one_is_served(server):
    assert server.post(pattern(40, b"die"), "a/b").status == 503
    assert spooled(server) == []
    eventually(lambda: server.ping() == 200, "a new worker")
    assert server.post(pattern(40), "a/b").status == 200


@pytest.mark.contract("HOST-55")
@pytest.mark.parametrize("megabytes", [40, 200])
def test_a_disk_that_does_not_take_the_body_is_507_with_the_cause(server, megabytes):
    limit = 16 * MEGABYTE
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (limit, limit))
    with server.connect() as client:
        body = pattern(megabytes)
        client.sendall(head(len(body)))
        with suppress(ConnectionError):
            client.sendall(body)
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 507 ")
    assert b"File too large" in answer
    assert spooled(server) == []
    assert server.ping() == 200


def test_a_body_whose_client_has_gone_is_empty_also_where_another_has_its_descriptor():
    with socket.socket() as other:
        path = f"/proc/self/fd/{other.fileno()}"
        assert read_spooled(path) == b""
    assert read_spooled(path) == b""


@pytest.mark.contract("HOST-55", "HOST-93")
def test_a_container_without_a_temporary_directory_refuses_a_large_body_with_507(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "absent")])
    requests: list[Request] = []
    RequestReader(requests.append, None, BodyMemory(0), lambda: None).feed(head(40 * MEGABYTE))
    assert [request.refusal.status for request in requests] == [507]
    assert b"absent" in requests[0].refusal.body


def test_bodies_for_which_no_memory_is_left_go_to_disk(start, tmp_path):
    settings = "body_memory=20 * 1024 * 1024, workers=1"
    server = start(HASHING, settings=settings, TMPDIR=tmp_path).wait_until_ready()
    bodies = [pattern(8, b"%d" % number) for number in range(8)]
    before = peak(server.process.pid)
    with ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in bodies]
        for client, body in zip(clients, bodies, strict=True):
            client.sendall(head(len(body)) + body[:-1])
        eventually(lambda: len(spooled(server)) == 6, "two are in memory, the others on disk")
        for client, body in zip(clients, bodies, strict=True):
            client.sendall(body[-1:])
            assert client.makefile("rb").readline().startswith(b"HTTP/1.1 200")
        assert peak(server.process.pid) - before < 64 * MEGABYTE
    eventually(lambda: not spooled(server), "the files are closed")
    with server.connect() as client:  # what they took of the memory is given back
        client.sendall(head(len(bodies[0])) + bodies[0])
        assert digest(bodies[0]) in client.recv(1 << 16)
    assert spooled(server) == []
