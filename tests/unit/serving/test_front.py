"""What the front process does by itself: connections, its log, and a start that cannot succeed."""

from __future__ import annotations

import json
import os
import resource
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from opt_ml.serving.http.acceptor import most_clients

from tests.unit.serving.conftest import eventually
from tests.unit.serving.gated import GATED, ready
from tests.unit.serving.test_http import post, read_reply


@pytest.mark.contract("HOST-45")
def test_the_front_process_loads_no_numpy_and_no_framework(start, tmp_path):
    server = ready(start, tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS=1)
    [worker] = server.workers
    assert "numpy" in Path(f"/proc/{worker}/maps").read_text()
    assert "numpy" not in Path(f"/proc/{server.process.pid}/maps").read_text()


def test_a_connection_without_progress_is_closed_and_a_half_request_is_408(start, tmp_path):
    (tmp_path / "load").touch()
    server = start(GATED, settings="idle_timeout=0.5").wait_until_ready()
    with server.connect() as idle, server.connect() as half, ThreadPoolExecutor() as clients:
        half.sendall(b"POST /invocations HTTP/1.1\r\nContent-Length: 10\r\n\r\n12")
        busy = clients.submit(server.post, b"wait")
        assert half.makefile("rb").readline() == b"HTTP/1.1 408 Request Timeout\r\n"
        assert idle.recv(1) == b""
        assert not busy.done()  # waiting for an answer is no idleness
        (tmp_path / "go").touch()
        assert busy.result().status == 200


def json_lines(log: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


def lines_of(log: str) -> list[dict[str, Any]]:
    """The JSON lines of a log that are about one request each."""
    return [line for line in json_lines(log) if "status" in line]


def test_each_request_but_ping_has_one_json_object_in_the_log(start, tmp_path):
    server = ready(start, tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS=1)
    length = len(server.post(b"1", **{"X-Amzn-SageMaker-Inference-Id": "mine"}).body)
    server.request("GET", "/nothing")
    assert server.stop() == 0
    first, second = lines_of(server.log)
    assert (first["method"], first["path"], first["status"]) == ("POST", "/invocations", 200)
    assert (first["request_id"], first["bytes"], first["level"]) == ("mine", length, "info")
    assert first["ms"] >= 0
    assert datetime.fromisoformat(first["time"]).tzinfo is not None
    assert (second["method"], second["path"], second["status"]) == ("GET", "/nothing", 404)
    assert (second["level"], bool(second["request_id"])) == ("warning", True)


def test_the_log_says_once_when_requests_are_answered(start, tmp_path):
    server = ready(start, tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS=1)
    eventually(lambda: "Ready on port" in server.log, "the line of the log")
    assert server.stop() == 0
    assert server.log.count("Ready on port") == 1


def test_a_reader_of_the_log_that_has_stopped_does_not_stop_the_server(start, tmp_path):
    server = ready(start, tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS=1)
    fifo = tmp_path / "stuck"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)  # it never reads: the pipe holds 64 KB
    try:
        (tmp_path / "log-1.txt").symlink_to(fifo)
        stuck = start(None, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()
        for _ in range(40):
            assert stuck.request("GET", "/" + "x" * 3000).status == 404
        with stuck.connect() as client:
            stream = client.makefile("rb")
            for _ in range(1000):
                client.sendall(b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"x" * 200))
                assert stream.readline().startswith(b"HTTP/1.1 404")
                while stream.readline().strip():
                    pass
                stream.read(57)
        assert stuck.ping() == 200
        stuck.process.kill()
        assert server.ping() == 200
    finally:
        os.close(reader)


@pytest.mark.contract("PIPE-01")
def test_a_port_in_use_is_one_line_and_exit_code_1(start):
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        server = start(GATED, port=other.getsockname()[1])
        assert server.process.wait(60) == 1
    assert "cannot be bound" in server.log
    assert "SAGEMAKER_BIND_TO_PORT" in server.log
    assert len(server.log.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SAGEMAKER_BIND_TO_PORT", "70000"),
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "two"),
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "0"),
        ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "-1"),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "6.5"),
    ],
)
def test_a_setting_that_is_no_number_in_its_range_is_one_line_and_exit_code_1(start, name, value):
    server = start(GATED, **{name: value})
    assert server.process.wait(60) == 1
    assert server.log.startswith(f"{name}='{value}' must be a whole number from ")
    assert len(server.log.splitlines()) == 1


def test_any_number_of_offers_to_upgrade_may_be_sent_ahead(echo):
    count = 1500  # more than Python would recurse
    offer = post(b"1", b"Connection: Upgrade\r\nUpgrade: h2c\r\n")
    with echo.connect() as client:
        sender = threading.Thread(target=client.sendall, args=(count * offer,))
        sender.start()
        stream = client.makefile("rb")
        assert {read_reply(stream)[0] for _ in range(count)} == {200}
        sender.join()


@pytest.mark.parametrize(
    ("limits", "raised", "clients"),
    [
        ((1024, 1024), None, 1024 - 128 - 3),
        ((1024, 4096), 4096, 4096 - 512 - 3),
        ((1024, -1), 65536, 65536 - 8192 - 3),
        ((-1, -1), None, 65536 - 8192 - 3),
        ((1 << 20, 1 << 20), None, (1 << 20) - (1 << 17) - 3),
        ((64, 64), None, 1),
    ],
)
def test_the_limit_of_descriptors_decides_how_many_clients_there_may_be(monkeypatch, limits, raised, clients):
    monkeypatch.setattr(resource, "getrlimit", lambda what: limits)
    changes: list[int] = []
    monkeypatch.setattr(resource, "setrlimit", lambda what, pair: changes.append(pair[0]))
    assert most_clients(processes=3) == clients
    assert changes == ([] if raised is None else [raised])
