"""Requests to many models: joined, copied, refused, counted."""

from __future__ import annotations

import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.unit.serving.conftest import end_all, eventually, is_alive, starter
from tests.unit.serving.many_models import OWN_CODE, ManyModels, later, process_of
from tests.unit.serving.wheels import OFFLINE


@pytest.fixture
def many(start, tmp_path):
    """An endpoint with two shared processes, for one test."""
    return ManyModels(start, tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One endpoint for tests that leave it as it was."""
    started = []
    base = tmp_path_factory.mktemp("many")
    yield ManyModels(starter(base, started), base)
    end_all(started)


@pytest.mark.contract("MME-20")
def test_models_with_code_of_their_own_do_not_see_each_other(many):
    for name in ("left", "right"):
        assert many.load(name, code=OWN_CODE).status == 200
    answers = {name: many.invoke(name) for name in ("left", "right")}
    assert answers["left"].body.startswith(b"left hello")
    assert answers["right"].body.startswith(b"right hello")
    processes = {name: process_of(answer) for name, answer in answers.items()}
    assert processes["left"] != processes["right"]
    assert many.unload("left").status == 200
    assert not is_alive(processes["left"])
    assert many.invoke("right").status == 200


@pytest.mark.contract("MME-20", "MME-15")
def test_models_have_requirements_of_their_own(start, tmp_path):
    many = ManyModels(start, tmp_path, **OFFLINE)
    code = OWN_CODE.replace("helper.NAME", "__import__('helper_of_tests').VERSION")
    for version in ("1.0", "2.0"):
        assert many.load(version, code=code, requires=version).status == 200
    assert [many.invoke(version).body.split()[0] for version in ("1.0", "2.0")] == [b"1.0", b"2.0"]
    refused = many.load("absent", code=code, requires="3.0 --wrong")
    assert refused.status in (400, 500)
    assert "requirements.txt" in refused.json["error"]
    assert many.names() == ["1.0", "2.0"]


def test_requests_that_arrive_meanwhile_are_predicted_together(start, tmp_path):
    many = ManyModels(start, tmp_path, workers=1)
    many.load("one")
    many.load("two")
    busy = later(many.invoke, "one", "wait-1")
    eventually(lambda: many.has("wait-1.began"), "the prediction begins")
    waiting = [later(many.invoke, name, f"{number}") for number in range(5) for name in ("one", "two")]
    eventually(lambda: many.metric("requests_waiting") == 10, "all wait")
    many.touch("wait-1")
    assert busy().status == 200
    answers = [reply().body.decode().split() for reply in waiting]
    assert [words[:2] for words in answers] == [[n, str(i)] for i in range(5) for n in ("one", "two")]
    assert all(words[3] == "5" for words in answers)


def test_one_bad_request_fails_alone(start, tmp_path):
    many = ManyModels(start, tmp_path, workers=1)
    many.load("one")
    busy = later(many.invoke, "one", "wait-1")
    eventually(lambda: many.has("wait-1.began"), "the prediction begins")
    waiting = [later(many.invoke, "one", text) for text in ("good", "bad", "good")]
    eventually(lambda: many.metric("requests_waiting") == 3, "all wait")
    many.touch("wait-1")
    busy()
    assert [reply().status for reply in waiting] == [200, 400, 200]


@pytest.mark.contract("MME-21")
def test_more_requests_than_may_wait_for_a_model_get_503(start, tmp_path):
    many = ManyModels(start, tmp_path, workers=1, SAGEMAKER_MODEL_JOB_QUEUE_SIZE=2)
    many.load("one")
    many.load("two")
    busy = later(many.invoke, "one", "wait-1")
    eventually(lambda: many.has("wait-1.began"), "the prediction begins")
    waiting = [later(many.invoke, "one") for _ in range(2)]
    eventually(lambda: many.metric("requests_waiting") == 2, "two wait")
    assert many.invoke("one").status == 503
    other = later(many.invoke, "two")
    many.touch("wait-1")
    assert [reply().status for reply in (busy, *waiting, other)] == [200] * 4


def test_a_model_that_many_ask_for_is_copied_to_an_idle_process(many):
    many.load("hot")
    home = process_of(many.invoke("hot"))
    with ThreadPoolExecutor(24) as clients:
        busy = later(many.invoke, "hot", "wait-1")
        eventually(lambda: many.has("wait-1.began"), "the prediction begins")
        others = list(clients.map(lambda _: process_of(many.invoke("hot")), range(24)))
    assert set(others) - {home}, "no other process answered while the first was busy"
    many.touch("wait-1")
    assert busy().status == 200
    assert many.unload("hot").status == 200
    assert many.invoke("hot").status == 404


@pytest.mark.contract("MME-11")
def test_an_unload_while_a_copy_is_made_leaves_no_copy(many):
    many.load("hot", wait_in_copy="copy")
    with ThreadPoolExecutor(24) as clients:
        replies = [clients.submit(many.invoke, "hot", "wait-1") for _ in range(24)]
        eventually(lambda: many.has("copy.began"), "a copy is loaded")
        many.touch("wait-1")
        assert {reply.result().status for reply in replies} == {200}
    unloading = later(many.unload, "hot")
    eventually(lambda: many.describe("hot").status == 404, "it is on its way out")
    many.touch("copy")
    assert unloading().status == 200
    for name in ("one", "two"):  # one a process, each after what that loads now
        assert many.load(name).status == 200
    for process in many.server.workers:
        os.kill(process, signal.SIGKILL)
    eventually(lambda: many.metric("worker_deaths_total") == 2, "the processes are replaced")
    assert sum(map(int, re.findall(r"A process with (\d+) models", many.server.log))) == 2


@pytest.mark.contract("MME-12")
def test_a_prediction_that_runs_out_of_memory_gets_507(shared):
    shared.load("full")
    reply = shared.invoke("full", "memory")
    assert reply.status == 507
    assert shared.unload("full").status == 200


def test_metrics_count_models_without_a_series_for_each(many):
    for name in ("one", "two"):
        many.load(name)
    many.load("broken", fault="bug")
    many.invoke("one")
    many.unload("two")
    assert many.metric("models_loaded") == 1
    assert many.metric("model_loads_total") == 2
    assert many.metric("model_load_failures_total") == 1
    assert many.metric("model_unloads_total") == 1
    assert many.metric('requests_total{status="200"}') == 1
    assert b"one" not in many.server.request("GET", "/metrics").body


def test_it_stops_cleanly_with_models(many):
    many.load("one")
    many.load("own", code=OWN_CODE)
    workers = many.server.workers
    assert len(workers) == 3
    assert many.server.stop(signal.SIGTERM) == 0
    assert not any(is_alive(worker) for worker in workers)
