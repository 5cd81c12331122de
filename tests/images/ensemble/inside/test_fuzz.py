"""The requests of tests/fuzz against trained models, with the image's own readers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opt_ml.serving.answers import Answer
from opt_ml.serving.handler import load_handler
from opt_ml.serving.invocation import Model, Request

from tests.fuzz.bodies import Shot, bodies, fuzzed, shots
from tests.fuzz.seeds import COLUMNS, SEEDS


@pytest.fixture(scope="module", params=["numbers", "categories"])
def model(request, tmp_path_factory, job_class) -> Model:
    """The model of four columns: all numbers, or the last one a text and two classes."""
    values = np.random.default_rng(0).random((60, COLUMNS + 1)).round(3).astype(object)
    if request.param == "categories":
        values[:, COLUMNS - 1] = np.where(values[:, 0] > 0.4, "x", "y")
        values[:, COLUMNS] = np.where(values[:, 1] > 0.5, "yes", "no")
    lines = [",".join([*(f"column_{n}" for n in range(COLUMNS)), "label"])]
    lines += [",".join(map(str, row)) for row in values]
    job = job_class(tmp_path_factory.mktemp(request.param))
    job.file("train", "rows.csv", "\n".join(lines) + "\n").run({"models": "catboost,xgboost,linear"})
    found = Model(load_handler(job.base / "model"), str(job.base / "model"))
    found.run(found.load())
    return found


def check(answer: Answer) -> None:
    assert answer.status == 200 or 400 <= answer.status < 500, answer.body


def status(model: Model, request: Request) -> int:
    return model.run(model.answer(request)).status


@pytest.mark.parametrize("content_type", SEEDS)
def test_a_damaged_body_is_a_prediction_or_a_4xx(model, content_type, capfd):
    @fuzzed(0.25)
    @given(bodies(content_type))
    def shoot(body: bytes) -> None:
        check(model.run(model.answer(Request(body, content_type, None))))

    shoot()
    assert "Traceback" not in capfd.readouterr().err


def test_requests_that_are_joined_get_the_status_that_each_would_get_alone(model, capfd):
    @fuzzed(0.25)
    @given(st.lists(shots(), min_size=2, max_size=6))
    def shoot(found: list[Shot]) -> None:
        requests = [Request(*shot) for shot in found]
        together = model.run(model.answer_together(requests))
        for answer, request in zip(together, requests, strict=True):
            check(answer)
            assert answer.status == status(model, request)

    shoot()
    assert "Traceback" not in capfd.readouterr().err


def test_most_seeds_are_predictions(model):
    found = [status(model, Request(body, kind, None)) for kind in SEEDS for body in SEEDS[kind]]
    assert found.count(200) > len(found) / 3, found
