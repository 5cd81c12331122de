"""The examples, trained and served as their READMEs say. Digits: test_pytorch_image.py."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.images.pytorch.conftest import EXAMPLES, run_inside
from toolkit.serving.endpoint import Endpoint

JSON = "application/json"


@pytest.fixture
def prepared(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """What the prepare.py of the example named by the parameter writes."""
    program = EXAMPLES / request.param / "prepare.py"
    subprocess.run([sys.executable, program, tmp_path / "data"], check=True)
    return tmp_path / "data"


@pytest.mark.parametrize("prepared", ["sentiment"], indirect=True)
def test_a_transformer_learns_moods_and_serves_them(our_image, run_job, prepared):
    channels = {name: prepared / name for name in ("train", "validation")}
    code = EXAMPLES / "sentiment" / "code"
    result = run_job(our_image, code, "train.py", channels, name="sentiment", isolated=True)
    assert result.metrics["validation-accuracy"] > 0.9
    with (prepared / "held-out" / "sentences.csv").open(newline="") as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    with Endpoint(our_image.reference, result.model) as endpoint:
        answer = endpoint.invoke((prepared / "held-out" / "request.json").read_bytes(), JSON)
        assert answer.status == 200, answer.text
        assert endpoint.invoke(b'{"inputs": 3}', JSON).status == 400
    found = [told["label"] for told in json.loads(answer.body)]
    assert np.mean([one == other for one, other in zip(found, labels, strict=True)]) > 0.9


def test_the_transformer_answers_with_random_weights_too(our_image, tmp_path):
    code = tmp_path / "model" / "code"
    code.mkdir(parents=True)
    for name in ("network.py", "inference.py"):
        (code / name).write_text((EXAMPLES / "sentiment" / "code" / name).read_text())
    with Endpoint(our_image.reference, tmp_path / "model") as endpoint:
        answer = endpoint.invoke(b'{"inputs": "a good film"}', JSON)
    [told] = json.loads(answer.body)
    assert told["label"] in ("positive", "negative")
    assert 0.5 <= told["score"] <= 1


@pytest.mark.parametrize("prepared", ["graph"], indirect=True)
def test_a_graph_network_needs_the_neighbours(full_image, run_job, prepared):
    code = EXAMPLES / "graph" / "code"
    channels = {"train": prepared / "train"}
    result = run_job(full_image, code, "train.py", channels, name="graph", isolated=True)
    assert result.metrics["validation-accuracy"] > 0.8
    graph = (prepared / "held-out" / "graph.json").read_bytes()
    kinds = np.array(json.loads((prepared / "held-out" / "kinds.json").read_text()))
    alone = json.loads(graph)
    alone["inputs"]["edges"] = []
    with Endpoint(full_image.reference, result.model) as endpoint:
        answers = [endpoint.invoke(body, JSON) for body in (graph, json.dumps(alone).encode())]
        wrong = endpoint.invoke(b'{"inputs": {"features": [[1, 2]], "edges": []}}', JSON)
    assert [answer.status for answer in answers] == [200, 200], answers[0].text
    right = [(np.array(json.loads(answer.body)).argmax(axis=1) == kinds).mean() for answer in answers]
    assert right[0] > 0.9
    assert right[1] < 0.7
    assert (wrong.status, "(1, 2)" in wrong.text) == (400, True)


def test_a_language_model_is_fine_tuned_and_chats_without_any_code(full_image, run_job, tmp_path):
    (tmp_path / "lm").mkdir()
    run_inside(full_image, EXAMPLES / "chat", "make_model.py", tmp_path / "lm")
    channels = {"model": tmp_path / "lm", "train": EXAMPLES / "chat" / "dialogues"}
    usual = {"isolated": True, "checkpoint_dir": tmp_path / "checkpoints", "name": "chat"}
    result = run_job(full_image, EXAMPLES / "chat" / "code", "finetune.py", channels, **usual)
    messages = [{"role": "user", "content": "Where is the house?"}]
    with Endpoint(full_image.reference, result.model) as endpoint:
        body = json.dumps({"messages": messages, "temperature": 0}).encode()
        answer = endpoint.invoke(body, JSON)
    assert answer.status == 200, answer.text
    [choice] = json.loads(answer.body)["choices"]
    assert choice["message"]["content"].strip() == "the house is beside the stone bridge"
    assert list((tmp_path / "checkpoints").glob("checkpoint-*")), "the Trainer kept no checkpoint"
