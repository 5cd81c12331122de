"""Several requests at once in one worker, where the handler is asynchronous."""

from __future__ import annotations

import http.client
import json

import pytest

from tests.unit.serving.conftest import eventually
from tests.unit.serving.streaming import ASYNC, request


def test_an_async_handler_goes_on_with_others_while_one_awaits(start, tmp_path):
    server = start(ASYNC, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()
    clients = [request(server, b"meet") for _ in range(5)]
    eventually(lambda: b"\nrequests_running 5\n" in server.request("GET", "/metrics").body, "all five run")
    assert server.post(b"last").body == b"last."
    assert [client.getresponse().read() for client in clients] == [b"meet."] * 5


def test_no_more_requests_than_the_concurrency_are_in_an_async_worker(start, tmp_path):
    server = start(ASYNC, SAGEMAKER_MODEL_SERVER_WORKERS=1, SAGEMAKER_MODEL_SERVER_CONCURRENCY=2)
    server.wait_until_ready()
    clients = [request(server, b"meet") for _ in range(3)]
    eventually(lambda: b"\nrequests_waiting 1\n" in server.request("GET", "/metrics").body, "one waits")
    for client in clients:
        client.close()
    assert server.post(b"1").body == b"1."


def test_a_client_of_an_async_handler_that_gives_up_cancels_its_request(start, tmp_path):
    server = start(ASYNC, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()
    client = request(server, b"sleep")
    eventually((tmp_path / "began").exists, "it runs")
    client.close()
    eventually((tmp_path / "cancelled").exists, "it is cancelled")
    eventually(lambda: b"\nrequests_running 0\n" in server.request("GET", "/metrics").body, "it has ended")


def test_a_request_that_is_given_up_before_the_worker_has_begun_it_costs_the_others_nothing(start, tmp_path):
    server = start(ASYNC, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()
    workers = server.workers
    computing = request(server, b"compute")
    eventually((tmp_path / "began").exists, "the worker hears nothing")
    client = request(server, b"1")
    eventually(lambda: b"\nrequests_running 2\n" in server.request("GET", "/metrics").body, "it has both")
    client.close()
    (tmp_path / "go").touch()
    assert computing.getresponse().read() == b"compute."
    eventually(lambda: b"\nrequests_running 0\n" in server.request("GET", "/metrics").body, "both have ended")
    assert server.workers == workers


def test_an_error_of_an_async_handler_is_its_requests_own(start, tmp_path):
    server = start(ASYNC, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()
    waiting = request(server, b"meet")
    assert server.post(b"cancelled").json["error"].startswith("CancelledError")
    with pytest.raises(http.client.IncompleteRead):
        request(server, b"late").getresponse().read()
    assert server.post(b"last").status == 200
    assert waiting.getresponse().read() == b"meet."


def test_a_time_out_in_an_async_worker_costs_the_others_nothing(start, tmp_path):
    limits = {"SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": 1, "SAGEMAKER_MODEL_SERVER_WORKERS": 1}
    server = start(ASYNC, **limits).wait_until_ready()
    workers = server.workers
    slow = request(server, b"sleep")
    response = slow.getresponse()
    assert response.status == 504
    assert "SAGEMAKER_MODEL_SERVER_TIMEOUT" in json.loads(response.read())["error"]
    assert (tmp_path / "cancelled").exists() or eventually((tmp_path / "cancelled").exists, "cancelled")
    assert server.post(b"1").status == 200
    assert server.workers == workers
