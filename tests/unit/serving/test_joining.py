"""Requests that arrive while the worker is busy are predicted together, and answered each for itself."""

from __future__ import annotations

import http.client
import json
import signal
from pathlib import Path

import pytest

from tests.unit.serving.conftest import PATIENCE, Reply, eventually

# `wait` blocks until the test says go. Each answer says how many requests were predicted together.
JOINING = """
import os, pathlib, time
from opt_ml.errors import RequestError
BASE = pathlib.Path(os.environ["BASE"])

def model_fn(model_dir):
    return os.environ.get("FAULT", "")

def input_fn(body, content_type):
    if body == "undecodable":
        raise RequestError(400, "cannot be decoded")
    return body

def predict_fn(data, model):
    if data == "wait":
        (BASE / "began").touch()
        while not (BASE / "go").exists():
            time.sleep(0.01)
    if data == "bug":
        raise KeyError("bug")
    if data == "exit":
        os._exit(3)
    return f"{data} of 1"

def predict_batch_fn(data, model):
    if "exit" in data:
        os._exit(3)
    if model == "raises":
        raise ValueError("not together")
    if model == "short":
        return data[1:]
    return [KeyError(item) if item == "bug" else f"{item} of {len(data)}" for item in data]

def output_fn(prediction, accept):
    return (prediction[::-1] if accept == "text/reversed" else prediction), "text/plain"
"""


@pytest.fixture
def together(start, tmp_path):
    """Send requests while the only worker is busy; the replies in the same order."""

    def send(bodies: list[bytes], fault: str = "", handler: str = JOINING, **headers: str) -> list[Reply]:
        server = start(handler, SAGEMAKER_MODEL_SERVER_WORKERS=1, FAULT=fault).wait_until_ready()
        clients = []
        for body in [b"wait", *bodies]:
            client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
            client.request("POST", "/invocations", body, {"Content-Type": "text/csv", **headers})
            clients.append(client)
            eventually((tmp_path / "began").exists, "the worker is busy")
            assert [server.ping() for _ in range(2)] == [200, 200]  # by then the request is in the queue
        (tmp_path / "go").touch()
        responses = [client.getresponse() for client in clients]
        replies = [Reply(response.status, {}, response.read()) for response in responses]
        for client in clients:
            client.close()
        return replies[1:]

    return send


def test_waiting_requests_are_predicted_at_once_and_answered_each_for_itself(together):
    bodies = [f"r{number}".encode() for number in range(12)]
    replies = together(bodies)
    assert [reply.body.decode() for reply in replies] == [f"r{number} of 12" for number in range(12)]


def test_each_request_has_its_own_accept(together):
    assert [reply.body for reply in together([b"a", b"b"], Accept="text/reversed")] == [b"2 fo a", b"2 fo b"]


def test_a_bad_request_fails_alone_at_each_step(together):
    replies = together([b"a", b"undecodable", b"bug", b"b"])
    assert [reply.status for reply in replies] == [200, 400, 500, 200]
    assert [replies[0].body, replies[3].body] == [b"a of 3", b"b of 3"]
    assert json.loads(replies[2].body)["error"] == "KeyError: 'bug'"


@pytest.mark.parametrize("fault", ["raises", "short"])
def test_requests_that_cannot_be_predicted_together_are_predicted_one_by_one(together, fault):
    replies = together([b"a", b"bug", b"b"], fault)
    assert [reply.status for reply in replies] == [200, 500, 200]
    assert [replies[0].body, replies[2].body] == [b"a of 1", b"b of 1"]


def test_a_request_that_kills_the_worker_fails_alone(together):
    replies = together([b"a", b"b", b"exit", b"c"])
    assert [reply.status for reply in replies] == [200, 200, 503, 200]


def test_many_that_wait_for_the_worker_after_a_killed_one_are_answered(together):
    replies = together([b"exit", *[b"a"] * 20])
    assert [reply.status for reply in replies] == [503, *[200] * 20]


def test_large_requests_are_not_joined(together):
    replies = together([b"x" * 200_000, b"y" * 200_000, b"z"])
    assert [reply.body.rpartition(b" of ")[2] for reply in replies] == [b"1", b"2", b"2"]


def test_a_handler_that_does_not_say_so_gets_one_request_at_a_time(together):
    alone = JOINING.replace("def predict_batch_fn", "def not_this_one")
    assert [reply.body for reply in together([b"a", b"b"], handler=alone)] == [b"a of 1", b"b of 1"]


@pytest.fixture
def at_once(start):
    """Send requests to two free workers; the server is stopped meanwhile, so that it finds all of them."""

    def send(count: int) -> list[str]:
        server = start(JOINING, SAGEMAKER_MODEL_SERVER_WORKERS=2).wait_until_ready()
        eventually(lambda: b"workers_ready 2" in server.request("GET", "/metrics").body, "two workers")
        clients = [
            http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE) for _ in range(count)
        ]
        for client in clients:
            client.request("GET", "/ping")
            assert client.getresponse().read() == b""
        server.process.send_signal(signal.SIGSTOP)
        eventually(
            lambda: "\nState:\tT" in Path(f"/proc/{server.process.pid}/status").read_text(), "it stops"
        )
        for number, client in enumerate(clients):
            client.request("POST", "/invocations", f"r{number}", {"Content-Type": "text/csv"})
        server.process.send_signal(signal.SIGCONT)
        answers = [client.getresponse().read().decode() for client in clients]
        for client in clients:
            client.close()
        return answers

    return send


def test_what_is_received_in_one_turn_is_one_call_though_two_workers_are_free(at_once):
    assert at_once(8) == [f"r{number} of 8" for number in range(8)]


def test_many_requests_are_shared_by_the_workers(at_once):
    assert at_once(50) == [f"r{number} of 25" for number in range(50)]


def test_a_request_is_not_kept_for_others_while_a_worker_is_busy_for_long(start, tmp_path):
    server = start(JOINING, SAGEMAKER_MODEL_SERVER_WORKERS=2).wait_until_ready()
    eventually(lambda: b"workers_ready 2" in server.request("GET", "/metrics").body, "two workers")
    busy = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    busy.request("POST", "/invocations", "wait", {"Content-Type": "text/csv"})
    eventually((tmp_path / "began").exists, "a worker is busy")
    assert [server.post(b"a").body, server.post(b"b").body] == [b"a of 1", b"b of 1"]
    (tmp_path / "go").touch()
    assert busy.getresponse().read() == b"wait of 1"
    busy.close()
