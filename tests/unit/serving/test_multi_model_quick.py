"""Models with a quick path share processes without their frameworks, until a request needs those."""

from __future__ import annotations

import pytest

from tests.unit.serving.conftest import eventually
from tests.unit.serving.many_models import ManyModels, later, process_of


@pytest.fixture
def one(start, tmp_path):
    """An endpoint with one shared process."""
    return ManyModels(start, tmp_path, workers=1)


def test_small_requests_never_load_the_model_itself(one):
    assert one.load("small", quick="yes", fault="bug").status == 200
    assert one.invoke("small", "hello").body.startswith(b"quick hello of 1")
    assert one.invoke("small", "bad").status == 400


def test_what_the_quick_path_leaves_is_answered_by_the_model_itself(one):
    one.load("small", quick="yes")
    for _ in range(2):  # the first loads it, the second finds it there
        assert one.invoke("small", "a b c").body.startswith(b"small a b c of 1")
    assert one.invoke("small", "hello").body.startswith(b"quick")


def test_nobody_waits_while_the_model_itself_is_loaded(one):
    one.load("small", quick="yes", wait_in_load="go")
    one.load("other", quick="yes")
    slow = later(one.invoke, "small", "a b c")
    eventually(lambda: one.has("go.began"), "the model itself is loaded")
    assert one.invoke("small").body.startswith(b"quick")
    assert one.invoke("other").body.startswith(b"quick")
    assert one.metric("requests_running") == 1
    gone = later(one.unload, "small")
    eventually(lambda: one.describe("small").status == 404, "the model is leaving")
    one.touch("go")
    assert slow().body.startswith(b"small a b c")
    assert gone().status == 200


@pytest.mark.parametrize(("fault", "status"), [("user", 500), ("bug", 500), ("memory", 507)])
def test_a_model_that_only_its_quick_path_can_load_says_so_to_the_request(one, fault, status):
    one.load("small", quick="yes", fault=fault)
    reply = one.invoke("small", "a b c")
    assert reply.status == status
    assert b"Traceback" not in reply.body
    assert one.invoke("small").status == 200


def test_a_process_that_dies_of_the_model_itself_answers_503_and_goes_on(one):
    one.load("small", quick="yes", fault="kill")
    assert one.invoke("small", "a b c").status == 503
    assert one.invoke("small").status == 200
    assert one.unload("small").status == 200


def test_requests_are_joined_up_to_what_the_quick_path_takes(one):
    one.load("slow")
    one.load("small", quick="yes")
    one.invoke("small")
    busy = later(one.invoke, "slow", "wait-1")
    eventually(lambda: one.has("wait-1.began"), "the prediction begins")
    waiting = [later(one.invoke, "small", text) for text in ("a", "a b c", "b", "c", "d", "e")]
    eventually(lambda: one.metric("requests_waiting") == 6, "all wait")
    one.touch("wait-1")
    busy()
    replies = sorted(reply().body.decode().rpartition(" by ")[0] for reply in waiting)
    assert replies[-1] == "small a b c of 1"
    assert sorted(text.split()[1] for text in replies[:-1]) == ["a", "b", "c", "d", "e"]
    assert any(text.endswith("of 4") for text in replies)


def test_a_request_that_the_quick_path_trips_over_does_not_end_it(one):
    one.load("small", quick="yes")
    assert one.invoke("small", "trip").body.startswith(b"small trip")
    assert one.invoke("small").body.startswith(b"quick hello")


@pytest.mark.parametrize("fault", ["broken", "bug", "short"])
def test_a_quick_path_that_fails_leaves_all_to_the_model_itself(one, fault):
    assert one.load("small", quick=fault).status == 200
    assert one.invoke("small").body.startswith(b"small hello")


def test_the_quick_path_can_be_switched_off(start, tmp_path):
    many = ManyModels(start, tmp_path, workers=1, OPT_ML_COMPILED="off")
    many.load("small", quick="yes")
    assert many.invoke("small").body.startswith(b"small hello")
    assert process_of(many.invoke("small")) in many.server.workers
