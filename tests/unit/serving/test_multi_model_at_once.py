"""Loads, unloads and requests at the same time (MME-19)."""

from __future__ import annotations

import json

import pytest

from tests.unit.serving.conftest import eventually
from tests.unit.serving.many_models import AS_BUILT_IN, WAITING, ManyModels, later


@pytest.fixture
def many(start, tmp_path):
    """An endpoint with two shared processes, for one test."""
    return ManyModels(start, tmp_path)


@pytest.mark.contract("MME-19")
def test_of_two_loads_of_one_name_one_gets_200_and_one_409(many):
    url = many.make("slow", wait_in_load="go")
    first = later(many.load, "slow", url)
    eventually(lambda: many.has("go.began"), "the load begins")
    second = later(many.load, "slow", url)
    assert many.describe("slow").status == 404
    assert many.names() == []
    many.touch("go")
    assert sorted([first().status, second().status]) == [200, 409]


@pytest.mark.contract("MME-19")
def test_the_second_load_of_a_name_fails_as_the_first_does(many):
    url = many.make("slow", wait_in_load="go", fault="bug")
    first = later(many.load, "slow", url)
    eventually(lambda: many.has("go.began"), "the load begins")
    second = later(many.load, "slow", url)
    many.touch("go")
    assert [first().status, second().status] == [500, 500]


@pytest.mark.contract("MME-19")
def test_others_answer_while_a_model_loads(start, tmp_path):
    many = ManyModels(start, tmp_path, workers=1)
    many.load("quick")
    slow = later(many.load, "slow", wait_in_load="go")
    eventually(lambda: many.has("go.began"), "the load begins")
    assert many.invoke("quick").status == 200
    assert many.server.ping() == 200
    many.touch("go")
    assert slow().status == 200


@pytest.mark.contract("MME-19")
def test_an_unload_waits_for_the_load(many):
    slow = later(many.load, "slow", wait_in_load="go")
    eventually(lambda: many.has("go.began"), "the load begins")
    gone = later(many.unload, "slow")
    many.touch("go")
    assert slow().status == 200
    assert gone().status == 200
    assert many.names() == []


@pytest.mark.contract("MME-11", "MME-19")
@pytest.mark.parametrize(
    "code",
    [None, WAITING],
)
def test_an_unload_lets_running_requests_finish(many, code):
    many.load("busy", code=code)
    running = later(many.invoke, "busy", "wait-1")
    eventually(lambda: many.has("wait-1.began"), "the prediction begins")
    gone = later(many.unload, "busy")
    eventually(lambda: many.describe("busy").status == 404, "the model is leaving")
    assert many.invoke("busy").status == 404
    again = later(many.load, "busy", many.make("again"))
    many.touch("wait-1")
    assert running().status == 200
    assert gone().status == 200
    assert again().status == 200
    assert many.invoke("busy").body.startswith(b"again hello")


@pytest.mark.contract("MME-16")
def test_a_load_goes_on_when_its_client_has_gone(many):
    client = many.server.connect()
    body = json.dumps({"model_name": "slow", "url": many.make("slow", wait_in_load="go")}).encode()
    client.sendall(b"POST /models HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    eventually(lambda: many.has("go.began"), "the load begins")
    client.close()
    many.touch("go")
    eventually(lambda: many.names() == ["slow"], "the model is loaded")


@pytest.mark.contract("MME-16")
@pytest.mark.parametrize(
    "code",
    [None, AS_BUILT_IN],
)
def test_a_load_that_takes_too_long_gets_504_and_leaves_nothing(start, tmp_path, code):
    many = ManyModels(start, tmp_path, workers=1, settings="load_timeout=1.5")
    assert many.load("quick").status == 200
    assert many.load("slow", code=code, wait_in_load="never").status == 504
    assert many.names() == ["quick"]
    assert many.invoke("quick").status == 200
