"""A handler that fails, hangs, dies or is told to stop: what clients get, and that the server lives on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from tests.conformance.endpoints import (
    Handlers,
    eventually,
    eventually_logged,
    http_request,
    raw_connection,
    read_answers,
)
from tests.conformance.profile import Profile
from toolkit.serving.endpoint import Endpoint, Response

WORKERS = 2
AS_JSON = Profile(content_type="application/json", accept="application/json")
EXPLAINED = 2048  # characters that reach the client (HOST-54)


@pytest.fixture(scope="module")
def behaving(handlers: Handlers) -> Iterator[Endpoint]:
    """Serves handlers/behaves.py with two workers and a short time-out."""
    environment = {
        "SAGEMAKER_MODEL_SERVER_WORKERS": str(WORKERS),
        "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": "2",
    }
    with handlers.serve("behaves.py", environment=environment) as running:
        yield running


@pytest.fixture(scope="module")
def patient(handlers: Handlers) -> Iterator[Endpoint]:
    """Serves handlers/behaves.py with the usual limits."""
    with handlers.serve("behaves.py", environment={"SAGEMAKER_MODEL_SERVER_WORKERS": "1"}) as running:
        yield running


def do(endpoint: Endpoint, action: str, value: Any = None) -> Response:
    body = json.dumps({"action": action, "value": value}).encode()
    return endpoint.invoke(body, "application/json", "application/json")


def lives_on(endpoint: Endpoint) -> bool:
    return endpoint.ping().status == 200 and do(endpoint, "echo", [1, "a"]).text == '[1, "a"]'


def cause(response: Response) -> str:
    """What the error's JSON body says; a traceback goes to the log instead."""
    assert response.media_type == "application/json"
    assert "Traceback" not in response.text
    return str(json.loads(response.text[:EXPLAINED])["error"])


@pytest.mark.contract("HANDLER-21", "HOST-54", "HOST-55")
@pytest.mark.parametrize("status", [400, 403, 424, 429, 500, 503])
def test_an_error_with_a_status_is_the_answer(status: int, behaving: Endpoint) -> None:
    response = do(behaving, "refuse", status)
    assert (response.status, cause(response)) == (status, "not today")


@pytest.mark.contract("HANDLER-10", "HANDLER-50", "HOST-54", "HOST-55")
def test_a_bug_is_500_with_its_cause_and_a_traceback_in_the_log(behaving: Endpoint) -> None:
    response = do(behaving, "bug")
    assert response.status == 500
    assert "the cause, in a few words" in cause(response)
    eventually_logged(behaving, 'raise RuntimeError("the cause, in a few words")')
    assert lives_on(behaving)


@pytest.mark.contract("HANDLER-10", "HANDLER-50")
def test_a_body_that_the_handler_cannot_read_is_400(behaving: Endpoint) -> None:
    response = behaving.invoke(b'{"action": ', "application/json")
    assert response.status == 400
    assert "JSONDecodeError" in cause(response)


@pytest.mark.contract("HANDLER-12", "HOST-55")
def test_a_result_that_is_no_body_is_500_and_says_what_to_return(behaving: Endpoint) -> None:
    response = do(behaving, "nothing")
    assert response.status == 500
    assert "return" in cause(response)


@pytest.mark.contract("HOST-12", "HOST-43", "HOST-55", "BATCH-11")
@pytest.mark.parametrize("action", ["exit", "die"])
def test_a_handler_that_ends_its_process_costs_no_request_but_its_own(
    action: str, behaving: Endpoint
) -> None:
    for _ in range(WORKERS + 1):  # more often than there are workers, so that those that came after end, too
        assert do(behaving, action, 7).status in {500, 503}
        eventually(lambda: lives_on(behaving), "the server answers again")
    assert behaving.container.is_running()


@pytest.mark.contract("HOST-45", "HOST-50", "AG-13")
def test_ping_is_200_while_every_worker_hangs_until_its_time_out(behaving: Endpoint) -> None:
    eventually(lambda: lives_on(behaving), "the workers are back")
    with ThreadPoolExecutor(WORKERS * 2) as pool:
        hanging = [pool.submit(do, behaving, "sleep", 60) for _ in range(WORKERS)]
        pings: list[int] = []
        while not any(answer.done() for answer in hanging):  # then the workers begin anew
            pings.append(behaving.ping().status)
    assert set(pings[:-1]) == {200}
    assert 200 not in {answer.result().status for answer in hanging}, "nothing was broken off"
    eventually(lambda: lives_on(behaving), "the workers are back")


@pytest.mark.contract("HOST-52")
def test_answers_may_be_large_and_so_may_bodies_up_to_the_limit(patient: Endpoint) -> None:
    assert len(do(patient, "large", 30_000_000).body) == 30_000_002
    # HOST-52 is a least limit: one above it is taken, too.
    assert do(patient, "echo", "x" * 26 * 2**20).status in {200, 413}
    assert do(patient, "echo", "x" * 24 * 2**20).status == 200
    assert lives_on(patient)


@pytest.mark.contract("HOST-55")
def test_a_body_above_the_limit_is_answered_with_the_variable_that_lifts_it(patient: Endpoint) -> None:
    assert "SAGEMAKER_MAX_PAYLOAD_IN_MB" in cause(do(patient, "echo", "x" * 26 * 2**20))


@pytest.mark.contract("HOST-55")
def test_a_prediction_that_takes_too_long_is_broken_off_with_a_status_of_its_own(behaving: Endpoint) -> None:
    assert do(behaving, "sleep", 60).status in {503, 504}
    eventually(lambda: lives_on(behaving), "the worker is back")


@pytest.mark.contract("HOST-13")
def test_a_long_line_of_a_handler_reaches_the_log_whole(patient: Endpoint) -> None:
    assert do(patient, "print", 100_000).status == 200
    assert lives_on(patient)
    eventually_logged(patient, "x" * 100_000)


@pytest.mark.contract("HOST-101", "HANDLER-16", "HANDLER-17", "BATCH-09")
def test_limits_are_lifted_by_variables(handlers: Handlers) -> None:
    environment = {
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "200",
        "SAGEMAKER_MODEL_SERVER_TIMEOUT": "900",
        "MMS_DEFAULT_RESPONSE_TIMEOUT": "1",  # counts only where the other is not set
        "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
    }
    with handlers.serve("behaves.py", environment=environment) as lifted:
        assert do(lifted, "sleep", 2).status == 200
        assert do(lifted, "echo", "x" * 120 * 2**20).status == 200


@pytest.mark.contract("HOST-04", "HOST-05", "HANDLER-20")
def test_no_request_is_lost_when_the_container_is_stopped(handlers: Handlers) -> None:
    request = {"action": "sleep", "value": 0.3}
    environment = {"SAGEMAKER_MODEL_SERVER_WORKERS": str(WORKERS)}
    with handlers.serve("behaves.py", environment=environment) as running, ExitStack() as resources:
        connections = [resources.enter_context(raw_connection(running)) for _ in range(12)]
        for connection in connections:
            connection.sendall(http_request(json.dumps(request).encode(), AS_JSON))
        assert lives_on(running)  # by now each of them has reached the server
        with ThreadPoolExecutor(1) as pool:
            stopping = pool.submit(running.stop)
            statuses = [read_answers(connection, 1)[0].status for connection in connections]
            stop = stopping.result()
    assert statuses == [200] * len(connections)
    assert stop.by_itself
    assert stop.exit_code == 0
