"""Whatever a client sends gets an answer that is not our fault, and no traceback in the log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opt_ml.serving.answers import Answer
from opt_ml.serving.handler import load_handler
from opt_ml.serving.invocation import Model, Request

from tests.fuzz.bodies import Shot, bodies, fuzzed, shots
from tests.fuzz.seeds import SEEDS

ANY_VALUES = """
import numpy as np

class Any:
    def predict(self, data):
        return np.zeros(len(data))

def model_fn(model_dir):
    return Any()
"""

# As an image's own handler is made: tables in, predictions of several kinds out.
TABULAR = """
import numpy as np
from opt_ml.errors import RequestError
from opt_ml.serving.codecs import ENCODABLE, choose_accept, decode_table, encode_columns

def model_fn(model_dir):
    return 0

def input_fn(body, content_type):
    return decode_table(body.encode() if isinstance(body, str) else body, content_type).widened(4)

def predict_fn(data, model):
    if data.values.shape[1] != 4:
        raise RequestError(400, "four columns")
    numbers = data.values.sum(axis=1) if data.values.dtype == float else np.zeros(len(data))
    return numbers, [str(row[0]) for row in data.values]

def predict_batch_fn(data, model):
    return [predict_fn(one, model) for one in data]

def output_fn(prediction, accept):
    numbers, texts = prediction
    columns = {"number": numbers, "text": np.array(texts, dtype=object)}
    return encode_columns(columns, choose_accept(accept, ENCODABLE, "text/csv"))
"""


def model(directory: Path, source: str) -> Model:
    (directory / "code").mkdir()
    (directory / "code" / "inference.py").write_text(source)
    found = Model(load_handler(directory), str(directory))
    found.run(found.load())
    return found


@pytest.fixture(scope="module")
def any_values(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return model(tmp_path_factory.mktemp("any"), ANY_VALUES)


@pytest.fixture(scope="module")
def tabular(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return model(tmp_path_factory.mktemp("tabular"), TABULAR)


@pytest.fixture(autouse=True)
def no_traceback(capfd: pytest.CaptureFixture[str]) -> Any:
    yield
    written = capfd.readouterr()
    assert "Traceback" not in written.err + written.out


def check(answer: Answer) -> None:
    assert answer.status == 200 or 400 <= answer.status < 500, answer.body
    if answer.status != 200:
        assert answer.content_type == "application/json"
        cause = json.loads(answer.body)["error"]
        assert cause
        assert "\n" not in cause
        assert len(cause) <= 1500  # the platform shows 2048 characters of the body
        assert len(answer.body) < 10_000


@pytest.mark.contract("HOST-55", "HOST-57", "HOST-58")
@pytest.mark.parametrize("content_type", SEEDS)
def test_a_damaged_body_is_an_answer_or_a_4xx_with_its_cause(content_type, any_values, tabular):
    @fuzzed(0.5)
    @given(bodies(content_type))
    def shoot(body: bytes) -> None:
        for target in (any_values, tabular):
            check(target.run(target.answer(Request(body, content_type, None))))

    shoot()


@pytest.mark.contract("HOST-55", "HOST-56", "HOST-57", "HOST-58")
@pytest.mark.parametrize("handler", ["any_values", "tabular"])
def test_any_headers_with_any_body_are_an_answer_or_a_4xx(handler, request):
    target: Model = request.getfixturevalue(handler)

    @fuzzed()
    @given(shots())
    def shoot(shot: Shot) -> None:
        check(target.run(target.answer(Request(*shot))))

    shoot()


def test_requests_that_are_joined_get_what_each_would_get_alone(tabular):
    @fuzzed(0.5)
    @given(st.lists(shots(), min_size=2, max_size=6))
    def shoot(found: list[Shot]) -> None:
        requests = [Request(*shot) for shot in found]
        together = tabular.run(tabular.answer_together(requests))
        assert together == [tabular.run(tabular.answer(request)) for request in requests]

    shoot()


@pytest.mark.parametrize("content_type", SEEDS.keys() - {"image/png", "application/x-parquet"})
def test_every_seed_is_what_it_says(content_type, tabular, any_values):
    """Else the changes to it would only ever meet the first check."""
    requests = [Request(body, content_type, None) for body in SEEDS[content_type]]
    assert [any_values.run(any_values.answer(one)).status for one in requests] == [200] * len(requests)
    assert 200 in [tabular.run(tabular.answer(one)).status for one in requests]
