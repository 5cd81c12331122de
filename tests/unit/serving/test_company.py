"""A worker that has just answered several requests waits a moment for as many."""

from __future__ import annotations

import http.client
import threading

import pytest
from opt_ml.serving.workers.company import Company

from tests.unit.serving.conftest import PATIENCE
from tests.unit.serving.test_joining import JOINING


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = 10.0

    def __call__(self) -> float:
        return self.now


def _call(company: Company, clock: Clock, size: int, seconds: float) -> float:
    company.begin()
    clock.now += seconds
    return company.end(size)


def test_a_worker_waits_a_quarter_of_its_call_for_as_many_requests_again():
    clock = Clock()
    company = Company(clock)
    assert _call(company, clock, size=8, seconds=0.016) == pytest.approx(0.004)
    clock.now = 10.019
    assert company.is_awaited(1)
    assert company.is_awaited(7)
    assert not company.is_awaited(8)
    clock.now = 10.021
    assert not company.is_awaited(1)


def test_no_request_waits_longer_than_5_ms():
    clock = Clock()
    assert _call(Company(clock), clock, size=64, seconds=30.0) == pytest.approx(0.005)


def test_requests_that_come_one_by_one_do_not_wait():
    clock = Clock()
    company = Company(clock)
    assert not company.is_awaited(1)
    assert _call(company, clock, size=1, seconds=1.0) == 0
    assert not company.is_awaited(1)


def test_clients_that_ask_again_and_again_get_all_their_answers(start):
    """Whether all or none of the expected requests come: nothing is left waiting."""
    server = start(JOINING, SAGEMAKER_MODEL_SERVER_WORKERS=2).wait_until_ready()
    wrong = []

    def ask(name: str) -> None:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        for number in range(30):
            client.request("POST", "/invocations", f"{name}-{number}", {"Content-Type": "text/csv"})
            answer = client.getresponse().read().decode()
            if not answer.startswith(f"{name}-{number} of "):
                wrong.append(answer)
        client.close()

    clients = [threading.Thread(target=ask, args=(str(number),)) for number in range(12)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert wrong == []
