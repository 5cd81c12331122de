"""Small models answer in the server's own processes, as a worker would."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from opt_ml.serving.invocation import Request
from opt_ml.serving.quick import QuickRequest
from opt_ml_pytorch import inline, quick

from tests.images.pytorch.inside.conftest import NETWORK

ENVIRONMENT = {"OPT_ML_PYTORCH_BATCH": "8", "OPT_ML_WARM_UP": "sample.npy"}
JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"


def npy(rows, dtype=np.float32):
    file = io.BytesIO()
    np.save(file, np.asarray(rows, dtype=dtype))
    return file.getvalue()


@pytest.fixture
def saved(net, model_dir):
    """A TorchScript model and a sample of its requests."""
    torch.jit.script(net.eval()).save(model_dir / "model.pt")
    (model_dir / "sample.npy").write_bytes(npy([[1, 2, 3, 4]]))
    return model_dir


@pytest.fixture
def load(saved, monkeypatch):
    def run(**changes):
        for name, value in {**ENVIRONMENT, **changes}.items():
            monkeypatch.setenv(name, value)
        return quick.load_quick(saved)

    return run


REQUESTS = [
    (npy([[1, 2, 3, 4]]), NPY, JSON),
    (npy([[1, 2, 3, 4], [5, 6, 7, 8], [0, 0, 0, 0]]), NPY, NPY),
    (npy([[1, 2, 3, 4]]), None, None),
    (b"[[1, 2, 3, 4]]", JSON, CSV),
    (b'{"inputs": [[1, 2, 3, 4]]}', f"{JSON}; charset=utf-8", "*/*"),
]


def test_requests_are_answered_as_a_worker_answers_them(load, serve):
    found = load().answer([QuickRequest(*request) for request in REQUESTS])
    model = serve(**ENVIRONMENT)
    for ours, request in zip(found, REQUESTS, strict=True):
        theirs = model.run(model.answer(Request(*request)))
        assert ours.status == theirs.status == 200
        assert ours.content_type == theirs.content_type
        assert values(ours) == pytest.approx(values(theirs), abs=1e-6)


def values(answer):
    if answer.content_type == NPY:
        return np.load(io.BytesIO(answer.body)).ravel().tolist()
    text = answer.body.decode().replace("\n", ",").strip(",")
    return np.ravel(json.loads(text if answer.content_type == JSON else f"[{text}]")).tolist()


@pytest.mark.parametrize(
    "request_",
    [
        (npy([[1, 2, 3]]), NPY, JSON),
        (npy([1, 2, 3, 4]), NPY, JSON),
        (npy([[1, 2, 3, 4]], np.float64), NPY, JSON),
        (npy([[0, 0, 0, 0]] * 9), NPY, JSON),
        (b"1,2,3,4", CSV, JSON),
        (b"1,2,3,4", None, JSON),
        (b"[[1, 2", JSON, JSON),
        (b"[[1, 2, 3, 4]]", "no type", JSON),
        (b"[[1, 2, 3, 4]]", JSON, "image/png"),
        (b"", None, None),
    ],
)
def test_what_is_unusual_is_left_to_a_worker_and_harms_no_other(request_, load):
    good = QuickRequest(*REQUESTS[0])
    first, unusual, last = load().answer([good, QuickRequest(*request_), good])
    assert unusual is None
    assert first.body == last.body
    assert first.status == 200


def test_a_row_that_the_model_refuses_harms_no_other(model_dir, monkeypatch):
    torch.jit.script(torch.nn.Embedding(4, 2)).save(model_dir / "model.pt")
    words = [QuickRequest(npy([[word]], np.int64), NPY, JSON) for word in (1, 9, 2)]
    (model_dir / "sample.npy").write_bytes(words[0].body)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    found = quick.load_quick(model_dir)
    first, refused, last = found.answer(words)
    assert refused is None
    assert [first, last] == [found.answer([words[0]])[0], found.answer([words[2]])[0]]
    assert first.status == last.status == 200


def test_no_call_has_more_rows_than_it_may(load):
    found = load()
    assert 1 <= found.most_rows <= 8
    three = QuickRequest(npy([[1, 2, 3, 4]] * 3), NPY, JSON)
    answers = found.answer([three] * 4)
    assert sum(answer is not None for answer in answers) == found.most_rows // 3


@pytest.mark.parametrize(
    "changes",
    [{"OPT_ML_WARM_UP": ""}, {"OPT_ML_PYTORCH_BATCH": "1"}, {"OPT_ML_PYTORCH_COMPILE": "aot_eager"}],
)
def test_a_model_that_has_not_said_enough_is_left_to_workers(changes, load):
    assert load(**changes) is None


def test_a_slow_model_is_left_to_workers(load, monkeypatch, capfd):
    monkeypatch.setattr(inline, "LONGEST", 0.0)
    assert load() is None
    assert "workers answer" in capfd.readouterr().err


def test_a_class_of_the_users_does_not_run_in_the_server(net, model_dir, load):
    (model_dir / "model.pt").unlink()
    torch.save(net.state_dict(), model_dir / "model.pth")
    (model_dir / "code").mkdir()
    (model_dir / "code" / "model.py").write_text(NETWORK)
    assert load() is None


def test_a_server_without_a_quick_path_does_not_import_pytorch(saved):
    program = "import sys; from pathlib import Path; from opt_ml_pytorch.quick import load_quick; "
    program += f"assert load_quick(Path({str(saved)!r})) is None; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
