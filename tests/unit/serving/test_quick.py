"""The quick path: the same answers as a worker gives, whatever the client sends and however it comes."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.serving.conftest import PATIENCE, Server, end_all, eventually, starter
from tests.unit.serving.quick_image import QUICK, install, lanes, wait_for_lanes, workers
from tests.unit.serving.test_http import post, read_reply
from tests.unit.serving.test_plain_http import SUSPICIOUS

END = b"POST /invocations HTTP/1.1\r\nConnection: close\r\nContent-Length: 3\r\n\r\nend"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """The same image with a quick path, and with workers only."""
    started: list[Server] = []
    base = tmp_path_factory.mktemp("pair")
    path = install(base)
    start = starter(base, started)
    variables = {
        "PYTHONPATH": path,
        "SAGEMAKER_MODEL_SERVER_WORKERS": 1,
        "settings": "lanes=2, idle_timeout=2.0",
    }
    quick = start(None, **variables)
    slow = start(None, OPT_ML_COMPILED="off", **variables)
    slow.wait_until_ready()
    yield wait_for_lanes(quick, 1), slow
    end_all(started)


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The same image, for clients that take their time."""
    started: list[Server] = []
    base = tmp_path_factory.mktemp("patient")
    variables = {"PYTHONPATH": install(base), "SAGEMAKER_MODEL_SERVER_WORKERS": 1}
    yield wait_for_lanes(starter(base, started)(None, settings="lanes=2", **variables), 1)
    end_all(started)


def exchange(server: Server, parts: list[bytes]) -> bytes:
    """Everything that the server answers to `parts`, without the Date."""
    received = b""
    with server.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for part in parts:
                client.sendall(part)
            while data := client.recv(1 << 16):
                received += data
        except (BrokenPipeError, ConnectionResetError):  # it was refused before it was all sent
            pass
    return re.sub(rb"Date: [^\r]*\r\n", b"", received)


BODIES = st.sampled_from([b"", b"1,2,3", b"worker 1", b"refused", b"x" * 3000, b"\r\n\r\n", b"bug"])
HEADERS = st.sampled_from(
    [
        b"",
        b"Host: x\r\n",
        b"Content-Type: text/csv\r\n",
        b"Accept: application/json\r\n",
        b"Content-Type: a/b\r\nContent-Type: c/d\r\n",
        b"Connection: keep-alive\r\n",
        b"X-Trace: 1\r\n",
        b"Expect: 100-continue\r\n",
        b"Upgrade: h2c\r\nConnection: Upgrade\r\n",
        b"X: \xff\r\n",
    ]
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from(["post", "post", "post", "chunked", "ping", "other", "suspicious"]))
    body = draw(BODIES)
    headers = draw(HEADERS) + draw(HEADERS)
    if kind == "post":
        return post(body, headers)
    if kind == "chunked":
        head = b"POST /invocations HTTP/1.1\r\n" + headers + b"Transfer-Encoding: chunked\r\n\r\n"
        return head + (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    if kind == "ping":
        return b"GET /ping HTTP/1.1\r\n" + headers + b"\r\n"
    if kind == "suspicious":
        return draw(st.sampled_from(SUSPICIOUS)) + b"1,2"
    return draw(
        st.sampled_from([b"GET / HTTP/1.1\r\n\r\n", b"PUT /ping HTTP/1.1\r\n\r\n", b"\r\n", b"GARBAGE\r\n"])
    )


def ended(stream: list[bytes]) -> list[bytes]:
    """`stream` up to the request that ends its connection.

    A connection that is closed on what the client still sends is reset, and may take answers with it.
    """
    for number, request in enumerate(stream):
        if b"Connection: close" in request or b"HTTP/1.0" in request:
            return stream[: number + 1]
    return [*stream, END]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(requests(), max_size=5), st.lists(st.integers(1, 400), max_size=8))
def test_the_same_bytes_in_any_segments_have_the_same_answers_with_and_without_it(pair, sent, cuts):
    stream = b"".join(ended(sent))
    parts, start = [], 0
    for cut in cuts:
        parts.append(stream[start : start + cut])
        start += cut
    quick, slow = (exchange(server, [*parts, stream[start:]]) for server in pair)
    assert quick == slow


@pytest.mark.parametrize("head", SUSPICIOUS)
def test_a_suspicious_head_has_the_answer_of_the_full_parser_also_the_second_time(pair, head):
    stream = ended([post(b"1"), head + b"1,2"])
    quick, slow = pair
    expected = exchange(slow, stream)
    assert exchange(quick, stream) == expected
    assert exchange(quick, stream) == expected


def test_one_connection_goes_through_all_kinds_of_requests(pair):
    quick, _ = pair
    chunked = b"POST /invocations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n4,5\r\n0\r\n\r\n"
    sent = [post(b"1"), post(b"bug"), post(b"2"), chunked, post(b"3"), post(b"y" * 200_000), post(b"6")]
    with quick.connect() as client:
        stream = client.makefile("rb")
        for request in sent:
            client.sendall(request)
            status, _, body = read_reply(stream)
            expected = b"4,5" if request is chunked else request.partition(b"\r\n\r\n")[2]
            assert (status, body.rpartition(b"|")[2]) == (200, expected)


@pytest.mark.parametrize(
    "order", [[b"1", b"worker", b"2"], [b"refused", b"1"], [b"%d" % n for n in range(50)]]
)
def test_requests_sent_ahead_are_answered_in_their_order(pair, order):
    with pair[0].connect() as client:
        client.sendall(b"".join(post(body) for body in order))
        stream = client.makefile("rb")
        for body in order:
            status, _, answer = read_reply(stream)
            assert status == 422 if body == b"refused" else answer.endswith(b"|" + body)


def resident(server: Server) -> int:
    """Bytes of memory of the server's processes."""
    pages = (
        Path(f"/proc/{one}/statm").read_text().split()[1] for one in (server.process.pid, *server.workers)
    )
    return sum(map(int, pages)) * os.sysconf("SC_PAGE_SIZE")


def test_a_client_that_does_not_read_is_not_read_from_and_gets_everything_later(patient):
    before = resident(patient)
    with patient.connect() as client:
        client.sendall(b"".join([post(b"big3000000")] * 100) + post(b"worker") + post(b"1"))
        assert patient.post(b"1").status == 200
        stream = client.makefile("rb")
        assert len(read_reply(stream)[2]) == 3_000_000
        assert resident(patient) - before < 100_000_000  # of 300 MB
        assert all(len(read_reply(stream)[2]) == 3_000_000 for _ in range(99))
        assert read_reply(stream)[2].endswith(b"|worker")  # handed over, in the middle of it all
        assert read_reply(stream)[2].endswith(b"|1")


def test_many_requests_at_once_are_joined_within_the_limit_of_rows(pair):
    quick, _ = pair
    clients = [quick.connect() for _ in range(60)]
    try:
        for turn in range(20):
            for number, client in enumerate(clients):
                client.sendall(post(b"%d,%d" % (number, turn)))
            for number, client in enumerate(clients):
                answer = read_reply(client.makefile("rb", buffering=0))[2]
                assert answer.endswith(b"|%d,%d" % (number, turn))
    finally:
        for client in clients:
            client.close()
    assert "AssertionError" not in quick.log


@pytest.mark.contract("HOST-43")
def test_it_is_healthy_without_a_worker_and_starts_workers_for_the_request_that_needs_one(start, tmp_path):
    server = start(None, PYTHONPATH=install(tmp_path), SAGEMAKER_MODEL_SERVER_WORKERS=2, settings="lanes=1")
    server.wait_until_ready()
    assert server.post(b"1").body == b"text/csv|*/*|1"
    assert server.workers == set()
    assert server.post(b"worker").body == b"text/csv|*/*|worker"
    assert len(eventually(lambda: workers(server), "workers")) in (1, 2)
    assert lanes(server) == set()


def test_a_bug_in_it_is_logged_and_a_worker_answers(start, tmp_path):
    server = start(None, PYTHONPATH=install(tmp_path), settings="lanes=1").wait_until_ready()
    for _ in range(3):
        assert server.post(b"bug").body == b"text/csv|*/*|bug"
    assert server.log.count("The compiled model failed (ZeroDivisionError: a bug). A worker answers.") == 1
    assert server.log.count("Traceback") == 1


@pytest.mark.contract("HOST-03", "HOST-05")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_stopped_while_it_loads_ends_at_once(start, tmp_path, number):
    loading = "def load_quick(model_dir):\n    (BASE / 'loading').touch()\n    import time; time.sleep(600)"
    path = install(tmp_path, quick=QUICK.replace("def load_quick(model_dir):", loading))
    server = start(None, PYTHONPATH=path)
    eventually((tmp_path / "loading").exists, "it loads")
    assert server.stop(number) == 0
    assert server.log == ""


def test_it_goes_on_where_no_worker_can_be_had(start, tmp_path):
    handler = 'def model_fn(model_dir): raise OSError("the native model is damaged")\n'
    handler += "def transform_fn(model, body, content_type, accept): return body"
    path = install(tmp_path, handler=handler)
    server = start(None, PYTHONPATH=path, SAGEMAKER_MODEL_SERVER_WORKERS=1, settings="lanes=1")
    server.wait_until_ready()
    for _ in range(2):
        reply = server.post(b"worker")
        assert reply.status == 503
        assert "OSError: the native model is damaged" in reply.json["error"]
    assert int(reply.headers["retry-after"]) > 1
    assert server.log.count("Traceback") == 5  # no further start for the second request
    assert server.post(b"1").body == b"text/csv|*/*|1"
    assert server.ping() == 200


@pytest.mark.parametrize(
    "reason", ["no-quick", "broken-quick", "OPT_ML_COMPILED", "code", "SAGEMAKER_PROGRAM"]
)
def test_without_it_workers_answer_everything(start, tmp_path, reason):
    (tmp_path / reason).touch()
    variables = {"OPT_ML_COMPILED": "off"} if reason == "OPT_ML_COMPILED" else {}
    handler = "def predict_fn(data, model): return data" if reason in ("code", "SAGEMAKER_PROGRAM") else None
    if reason == "SAGEMAKER_PROGRAM":
        variables["SAGEMAKER_PROGRAM"] = "inference.py"
    server = start(handler, PYTHONPATH=install(tmp_path), settings="lanes=2", **variables).wait_until_ready()
    assert server.post(b"1").status == 200
    assert workers(server)
    assert not lanes(server)
    assert ("the compiled model is cut short" in server.log) == (reason == "broken-quick")


def test_a_word_that_does_not_say_whether_to_use_it_is_one_line_and_exit_code_1(start, tmp_path):
    server = start(None, PYTHONPATH=install(tmp_path), OPT_ML_COMPILED="perhaps")
    assert server.process.wait(PATIENCE) == 1
    assert server.log == "OPT_ML_COMPILED='perhaps' must be on or off.\n"
