"""What the models of a shared process notice when it dies, and what a model of its own process does."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.unit.serving.conftest import ENTRYPOINTS, PATIENCE, eventually, is_alive
from tests.unit.serving.many_models import OWN_CODE, ManyModels, later, process_of

# Answers what the kernel adds to the score of its process, first while the model was loaded, then now.
OOM_SCORES = """
from pathlib import Path
def score(): return Path("/proc/self/oom_score_adj").read_text().strip()
def model_fn(model_dir): return score()
def transform_fn(model, body, content_type, accept): return f"{model} {score()}"
"""


@pytest.fixture
def one(start, tmp_path):
    """An endpoint with one shared process."""
    return ManyModels(start, tmp_path, workers=1)


def test_a_process_that_dies_takes_only_its_request_with_it(one):
    for name in ("one", "two", "three"):
        one.load(name)
    before = process_of(one.invoke("one"))
    reply = one.invoke("two", "exit")
    assert reply.status == 503
    assert "exited with code 3" in reply.json["error"]
    assert one.names() == ["one", "two", "three"]
    after = [process_of(one.invoke(name)) for name in ("one", "two", "three")]
    assert before not in after
    assert one.metric("worker_deaths_total") == 1


def test_neighbours_of_the_request_that_ended_the_process_get_their_answers(one):
    for name in ("one", "two"):
        one.load(name)
        one.invoke(name)
        one.invoke(name)
    busy = later(one.invoke, "one", "wait-1")
    eventually(lambda: one.has("wait-1.began"), "the prediction begins")
    waiting = [
        later(one.invoke, *sent) for sent in (("one", "a"), ("two", "exit"), ("one", "b"), ("two", "c"))
    ]
    eventually(lambda: one.metric("requests_waiting") == 4, "all wait")
    one.touch("wait-1")
    assert busy().status == 200
    assert [reply().status for reply in waiting] == [200, 503, 200, 200]


def test_models_are_loaded_again_without_a_request(one):
    one.load("one")
    os.kill(process_of(one.invoke("one")), signal.SIGKILL)
    eventually(lambda: one.metric("worker_deaths_total") == 1, "the death is noticed")
    eventually(lambda: one.metric("models_absent") == 0, "the model is back")
    assert one.invoke("one").status == 200


@pytest.mark.contract("MME-07")
def test_a_load_that_is_killed_gets_507_and_the_others_come_back(one):
    one.load("one")
    reply = one.load("greedy", fault="kill")
    assert reply.status == 507
    assert "memory" in reply.json["error"]
    assert one.names() == ["one"]
    assert one.invoke("one").status == 200


@pytest.mark.contract("MME-07")
def test_where_memory_is_short_the_process_that_loads_is_ended_and_no_other(one):
    usual = Path("/proc/self/oom_score_adj").read_text(encoding="ascii").strip()
    one.load("own", code=OOM_SCORES)
    assert one.invoke("own").body == f"1000 {usual}".encode()


def test_a_model_that_cannot_come_back_is_refused_and_harms_nobody(one):
    one.load("one")
    one.load("fatal", fault="kill-later")
    one.touch("later")
    assert one.invoke("one", "exit").status == 503
    reply = one.invoke("fatal")
    assert reply.status == 503
    assert "cannot be loaded again" in reply.json["error"]
    assert one.invoke("one").status == 200
    assert sorted(one.names()) == ["fatal", "one"]
    assert one.unload("fatal").status == 200


def test_a_prediction_that_takes_too_long_gets_504_and_the_others_come_back(start, tmp_path):
    many = ManyModels(start, tmp_path, workers=1, SAGEMAKER_MODEL_SERVER_TIMEOUT=1)
    many.load("one")
    many.load("two")
    assert many.invoke("one", "wait-for-ever").status == 504
    for name in ("two", "one"):  # 503 while a new process starts, which takes as long as the machine is busy
        eventually(lambda name=name: many.invoke(name).status == 200, f"{name} is back")


def test_a_model_of_its_own_process_comes_back_after_that_died(one):
    one.load("own", code=OWN_CODE)
    before = process_of(one.invoke("own"))
    assert one.invoke("own", "exit").status == 503
    assert process_of(one.invoke("own")) != before
    assert one.names() == ["own"]


def test_an_unload_ends_the_process_of_the_model(one):
    one.load("own", code=OWN_CODE)
    process = process_of(one.invoke("own"))
    assert one.unload("own").status == 200
    assert not is_alive(process)


def test_the_container_ends_where_no_process_for_models_can_start(start, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif 'opt_ml.serving.multi_model.host' in sys.orig_argv: os._exit(7)"
    )
    server = start(None, PYTHONPATH=f"{ENTRYPOINTS}:{tmp_path}", SAGEMAKER_MULTI_MODEL="true")
    assert server.process.wait(PATIENCE) == 1
    assert "exited with code 7" in server.log
