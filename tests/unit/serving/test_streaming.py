"""Answers that come part by part: the head, the parts, the end, and what may go wrong between them."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import time

import pytest

from tests.unit.serving.conftest import PATIENCE, eventually
from tests.unit.serving.streaming import ASYNC, STREAMING, request
from tests.unit.serving.test_http import post, read_reply


@pytest.fixture
def server(start):
    return start(STREAMING, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()


@pytest.mark.contract("HOST-65", "HOST-67")
def test_a_generators_parts_are_sent_as_they_come_in_one_chunked_answer(server, tmp_path):
    client = request(server, b"steps")
    response = client.getresponse()
    assert (response.status, response.headers["Transfer-Encoding"]) == (200, "chunked")
    assert response.headers["Content-Length"] is None
    assert response.read(4) == b"one,"  # while the handler waits for us
    eventually((tmp_path / "at-one").exists, "the handler is after its first yield")
    assert server.ping() == 200
    (tmp_path / "go-one").touch()
    assert response.read() == b"two,three"
    client.request("POST", "/invocations", b"whole", {"Content-Type": "text/plain"})  # the same connection
    response = client.getresponse()
    assert (response.headers["Content-Length"], response.read()) == ("12", b"not a stream")
    client.close()
    assert eventually(
        lambda: re.search(r'"status":200,"ms":[\d.]+,"bytes":13}\n', server.log), "the line of the log"
    )


def test_a_request_that_follows_at_once_is_answered_after_the_stream(server):
    with server.connect() as client:
        client.sendall(post(b"late-not") + post(b"whole"))
        stream = client.makefile("rb")
        status, headers, _ = read_reply(stream)
        assert (status, headers["transfer-encoding"]) == (200, "chunked")
        for size, part in ((4, b"one,"), (4, b"two,"), (5, b"three"), (0, b"")):
            assert int(stream.readline(), 16) == size
            assert stream.read(size + 2) == part + b"\r\n"
        assert read_reply(stream)[2] == b"not a stream"


def test_http_1_0_gets_the_parts_without_chunks_until_the_connection_closes(server):
    with server.connect() as client:
        client.sendall(
            b"POST /invocations HTTP/1.0\r\nContent-Length: 1\r\nContent-Type: text/plain\r\n\r\n1"
        )
        head, _, body = client.makefile("rb").read().partition(b"\r\n\r\n")
    assert b"Transfer-Encoding" not in head
    assert b"Content-Length" not in head
    assert body == b"one,two,three"


@pytest.mark.parametrize(
    ("body", "status", "content_type", "text"),
    [
        (b"headers", 202, "application/json", b"one,two,three"),
        (b"typed", 200, "text/event-stream", b"data: 1\n\n"),
        (b"empty", 200, None, b""),
    ],
)
def test_a_stream_has_the_status_the_type_and_the_headers_that_the_handler_says(
    server, body, status, content_type, text
):
    reply = server.post(body)
    assert (reply.status, reply.headers.get("content-type"), reply.body) == (status, content_type, text)
    assert (reply.headers.get("x-amzn-sagemaker-custom-attributes") == "c=1") == (body == b"headers")


@pytest.mark.contract("HOST-55")
def test_an_error_before_the_first_part_is_an_answer_with_a_status(server):
    reply = server.post(b"early")
    assert (reply.status, reply.json["error"]) == (500, "ValueError: nothing is sent yet")


@pytest.mark.contract("HOST-68")
@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"late", "RuntimeError: half is sent"),
        (b"wrong", "TypeError: the handler yielded a object; yield bytes, str or what JSON can hold"),
        (b"exit", "The worker exited with code 3 during this request."),
    ],
)
def test_an_error_after_that_breaks_the_connection_off_and_the_log_says_why(server, body, cause):
    response = request(server, body).getresponse()
    assert response.status == 200
    with pytest.raises(http.client.IncompleteRead) as error:
        response.read()
    assert error.value.partial == b"one,"
    eventually(lambda: f"A stream was broken off. {cause}" in server.log, "the cause in the log")
    eventually(lambda: server.post(b"whole").status == 200, "the server lives on")
    metrics = server.request("GET", "/metrics").body
    assert b"\nstreams_broken_total 1\n" in metrics


@pytest.mark.contract("HOST-68")
def test_a_broken_stream_is_a_reset_to_http_1_0_which_knows_no_other_end(server):
    with server.connect() as client, pytest.raises(ConnectionResetError):
        client.sendall(
            b"POST /invocations HTTP/1.0\r\nContent-Length: 4\r\nContent-Type: text/plain\r\n\r\nlate"
        )
        while client.recv(1000):
            pass


@pytest.mark.parametrize("handler", [STREAMING, ASYNC], ids=["sync", "async"])
def test_a_client_that_goes_away_closes_the_generator_and_frees_the_worker(start, tmp_path, handler):
    server = start(handler, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()
    workers = server.workers
    body, closed = (b"endless", "closed") if handler is STREAMING else (b"stream", "closed-stream")
    client = request(server, body)
    response = client.getresponse()
    assert response.read(3)
    response.close()
    client.close()
    eventually((tmp_path / closed).exists, "the generator's finally")
    assert server.post(b"whole").status == 200
    assert server.workers == workers
    eventually(lambda: b"\nrequests_running 0\n" in server.request("GET", "/metrics").body, "it has ended")


@pytest.mark.parametrize("handler", [STREAMING, ASYNC], ids=["sync", "async"])
def test_a_client_that_does_not_read_holds_the_handler_until_it_does(start, tmp_path, handler):
    server = start(handler, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    client.settimeout(PATIENCE)
    client.connect(("127.0.0.1", server.port))
    with client:
        client.sendall(post(b"flood").replace(b"text/csv", b"text/plain"))
        stream = client.makefile("rb")
        read_reply(stream)

        def number() -> int:
            return int((tmp_path / "flooded").read_text() or 0) if (tmp_path / "flooded").exists() else 0

        def stands() -> bool:
            before = number()
            time.sleep(0.3)
            return 0 < before == number()

        eventually(stands, "the handler waits")
        assert number() < 500
        assert server.ping() == 200
        total = 0
        while size := int(stream.readline(), 16):
            total += len(stream.read(size))
            stream.readline()
        assert total > 100_000_000
    assert server.post(b"whole").status == 200


@pytest.mark.contract("HOST-66")
def test_a_stream_may_outlast_the_time_out_of_a_prediction_but_not_its_own(start, tmp_path):
    limits = {
        "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": 1,
        "SAGEMAKER_MODEL_SERVER_STREAM_TIMEOUT": 3,
        "SAGEMAKER_MODEL_SERVER_WORKERS": 1,
    }
    server = start(STREAMING, **limits).wait_until_ready()
    workers = server.workers
    began = time.monotonic()
    with pytest.raises(http.client.IncompleteRead):
        request(server, b"endless").getresponse().read()
    assert time.monotonic() - began > 2
    assert "SAGEMAKER_MODEL_SERVER_STREAM_TIMEOUT" in server.log
    eventually((tmp_path / "closed").exists, "the generator is closed")
    assert server.post(b"whole").status == 200
    assert server.workers == workers
    with pytest.raises(http.client.IncompleteRead):
        request(server, b"hang").getresponse().read()
    assert "longer than 1 seconds (SAGEMAKER_MODEL_SERVER_TIMEOUT)" in server.log
    eventually(lambda: server.post(b"whole").status == 200, "a new worker serves")
    assert server.workers.isdisjoint(workers)


@pytest.mark.contract("HOST-05")
def test_a_stop_signal_lets_a_stream_end(server, tmp_path):
    response = request(server, b"steps").getresponse()
    assert response.read(4) == b"one,"
    server.process.send_signal(signal.SIGTERM)
    eventually(lambda: server.ping() is None, "it accepts no connection any more")
    (tmp_path / "go-one").touch()
    assert response.read() == b"two,three"
    assert server.process.wait(PATIENCE) == 0


@pytest.mark.contract("HOST-69")
@pytest.mark.parametrize(
    ("accept", "content_type", "body"),
    [
        (None, "application/jsonlines", b'{"token":1}\n{"token":2}\n'),
        ("application/jsonl", "application/jsonl", b'{"token":1}\n{"token":2}\n'),
        ("text/event-stream", "text/event-stream", b'data: {"token":1}\n\ndata: {"token":2}\n\n'),
    ],
)
def test_objects_that_predict_fn_yields_are_lines_or_events(start, accept, content_type, body):
    handler = """
def model_fn(model_dir): pass
def predict_fn(data, model):
    for number in (1, 2):
        yield {"token": number}
"""
    server = start(handler, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()
    reply = server.post(b"1", **({"Accept": accept} if accept else {}))
    assert (reply.headers["content-type"], reply.body) == (content_type, body)


def test_the_users_output_fn_loops_over_what_predict_fn_yields(start):
    handler = """
def model_fn(model_dir): pass
def predict_fn(data, model): return iter("abc")
def output_fn(prediction, accept):
    for part in prediction:
        yield part.upper()
"""
    server = start(handler, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()
    reply = server.post(b"1")
    assert (reply.headers["transfer-encoding"], reply.body) == ("chunked", b"ABC")
