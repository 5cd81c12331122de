"""The quick path answers as the handler does, errors included, and imports no framework."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from opt_ml.serving.handler import Function, Handler
from opt_ml.serving.invocation import Model, Request
from opt_ml.serving.quick import QuickRequest
from opt_ml_ensemble import handler
from opt_ml_ensemble.quick import load_quick

FRAMEWORKS = ("catboost", "xgboost", "sklearn", "pandas", "scipy", "skops", "onnx")
BODIES = [
    (b"0.5,0.1,-2,3\n", "text/csv"),
    (b"0.5,0.1,-2,3", None),
    (b"0.5,0.1,-2,3\r\n", "application/octet-stream"),
    (b" 0.5 , 1e-1,-2,3\n", "text/csv; charset=utf-8"),
    (b"0.5,,-2,3\n", "text/csv"),
    (b"0.5,nan,-2,inf\n", "text/csv"),
    (b"1,2,3,4\n5,6,7,8\n", "text/csv"),
    (b"[[1, 2, 3, 4]]", "application/json"),
    (b'{"instances": [[1, 2, 3, null], [4, 5, 6, 7]]}', "application/json"),
    (b"[1, 2, 3, 4]\n[5, 6, 7, 8]\n", "application/jsonlines"),
    (b"1,2,3\n", "text/csv"),
    (b"1,2,\n3,4\n", "text/csv"),
    (b"1,2\n3,4\n", "text/csv"),
    (b"1,2,3,4,5\n", "text/csv"),
    (b"1,x,3,4\n", "text/csv"),
    (b"1,01,3,4\n", "text/csv"),
    (b"1,2,3,4]\n", "text/csv"),
    (b"1,2,3,4\n\n", "text/csv"),
    (b"\n1,2,3,4", "text/csv"),
    (b"", "text/csv"),
    (b"\n", "text/csv"),
    (b"{", "application/json"),
    (b"1,2,3,4", "text/csv; header=absent"),
    (b"1,2,3,4,5", "text/csv; label_size=1"),
    (b"1,2,3,4", "text/csv; label_size=1"),
    (b"1,2,3,4", "application/octet-stream; label_size=1"),
    (b"1,2,3,4", "text/csv; header=present"),
    (b"1,2,3,4", "text/csv; header=maybe"),
    (b"1,2,3,4", "text/html"),
    (b"1,2,3,4", "nonsense"),
    (b"\xff,2,3,4", "text/csv"),
    (b"99999999999999999999999999,2,3,4", "text/csv"),
    (b"1e400,2,3,4", "text/csv"),
]
ACCEPTS = [
    None,
    "*/*",
    "application/json",
    "application/jsonlines",
    "text/csv; output=probabilities",
    "text/csv; output=labels",
    "text/csv; output=nothing",
    "image/png",
    "x" * 2000,
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, job_class):
    """By label: a model of four numbers."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(120, 4))
    total = rows.sum(axis=1) + rng.normal(0, 0.1, 120)
    names = np.array(["low", 'mid "2", or so', "high\nup"])
    labels = {"regression": total, "binary": total > 0, "multiclass": names[np.digitize(total, [-1, 1])]}
    found = {}
    for task, label in labels.items():
        content = io.StringIO()
        csv.writer(content).writerows([*row, one] for row, one in zip(rows.tolist(), label, strict=True))
        job = job_class(tmp_path_factory.mktemp(task)).file("train", "rows.csv", content.getvalue())
        found[task] = job.run(
            {"models": "catboost,xgboost,extra_trees,linear", "k_fold": "0", "blend": "mean", "nthread": "1"}
        )
    return found


def natively(model_dir) -> Model:
    """The image's handler, by the models themselves."""
    functions = {
        name: Function(getattr(handler, name))
        for name in ("model_fn", "input_fn", "predict_fn", "predict_batch_fn", "output_fn")
    }
    model = Model(Handler(**functions), str(model_dir))
    model.run(model.load())
    return model


NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?")


def is_alike(found: bytes, expected: bytes) -> bool:
    """The same bytes, but for the last digits of the numbers."""
    if NUMBER.sub(b"", found) != NUMBER.sub(b"", expected):
        return False
    one, other = ([float(number) for number in NUMBER.findall(body)] for body in (found, expected))
    return bool(np.allclose(one, other, rtol=1e-5, atol=1e-5))


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_the_quick_path_answers_as_the_handler_does(trained, task, monkeypatch):
    quick = load_quick(trained[task])
    monkeypatch.setenv("OPT_ML_COMPILED", "off")
    native = natively(trained[task])
    requests = [QuickRequest(*body, accept) for accept in ACCEPTS for body in BODIES]
    together = quick.answer(requests)
    answered = 0
    for request, joined in zip(requests, together, strict=True):
        alone = quick.answer([request])[0]
        expected = native.run(native.answer(Request(*request)))
        for found in (joined, alone):
            if found is None:
                continue
            assert (found.status, found.content_type) == (expected.status, expected.content_type), request
            assert is_alike(found.body, expected.body), request
            answered += 1
    assert answered > 1.9 * len(requests)  # nearly all


def test_many_lines_are_read_together_and_answered_in_order(trained):
    quick = load_quick(trained["regression"])
    rows = np.random.default_rng(1).normal(size=(100, 4))
    bodies = [",".join(map(repr, row.tolist())).encode() + b"\n" for row in rows]
    requests = [QuickRequest(body, "text/csv", None) for body in bodies]
    found = [float(answer.body) for answer in quick.answer(requests)]
    alone = [float(quick.answer([request])[0].body) for request in requests]
    np.testing.assert_allclose(found, alone, rtol=1e-5, atol=1e-5)
    assert len(set(found)) == 100


def test_what_needs_the_models_is_left_to_a_worker(trained):
    quick = load_quick(trained["regression"])
    line = b"1,2,3,4\n"
    found = quick.answer(
        [
            QuickRequest(line, "text/csv", "text/csv; output=models"),
            QuickRequest(line * (quick.most_rows + 1), "text/csv", None),
            QuickRequest(line, "text/csv", None),
        ]
    )
    assert found[0] is None
    assert found[1] is None
    assert found[2].status == 200


SPARSE = b"[" + b",".join(b'{"c%d":1}' % number for number in range(3000)) + b"]"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"1 33000000:1\n", "text/libsvm"),
        (b"PAR1 and so on PAR1", "application/x-parquet"),
        (b"PAR1 and so on PAR1", None),
        (b"PK\x03\x04 and so on", "application/octet-stream"),
        (SPARSE, "application/json"),
        (SPARSE, None),
        (SPARSE[1:-1].replace(b"},", b"}\n"), "application/jsonlines"),
    ],
)
def test_what_could_hold_up_the_event_loop_is_left_to_a_worker(trained, body, content_type, monkeypatch):
    quick = load_quick(trained["regression"])
    monkeypatch.setattr("opt_ml_ensemble.quick.decode_table", None)
    assert quick.answer([QuickRequest(body, content_type, None)]) == [None]


def run_alone(program, model_dir):
    """What a program prints that begins without any module."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-c", program, str(model_dir)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()


def test_no_framework_is_imported(trained):
    program = (
        "import sys; from pathlib import Path; from opt_ml_ensemble.quick import load_quick; "
        "from opt_ml.serving.quick import QuickRequest; "
        "quick = load_quick(Path(sys.argv[1])); "
        "answers = quick.answer([QuickRequest(b'1,2,3,4', 'text/csv', None)] * 200); "
        "assert {answer.status for answer in answers} == {200}; "
        f"print([name for name in {FRAMEWORKS} if name in sys.modules])"
    )
    assert run_alone(program, trained["regression"]) == ["[]"]


def test_a_worker_loads_the_models_when_a_request_needs_them(trained):
    program = (
        "import sys; from opt_ml_ensemble import handler; model = handler.model_fn(sys.argv[1]); "
        f"loaded = lambda: [name for name in {FRAMEWORKS} if name in sys.modules]; "
        "table = handler.input_fn(b'1,2,3,4\\n' * 8, 'text/csv'); found = handler.predict_fn(table, model); "
        "print(handler.output_fn(found, 'text/csv')[0].count(b'\\n'), loaded()); "
        "answer = handler.output_fn(found, 'application/json;output=models')[0]; "
        "print(b'catboost' in answer, bool(loaded()))"
    )
    assert run_alone(program, trained["regression"]) == ["8 []", "True True"]
