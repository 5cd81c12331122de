"""Handlers that the fuzz tests ask, and what every answer of theirs has to be."""

from __future__ import annotations

import json
from pathlib import Path

from opt_ml.serving.answers import Answer
from opt_ml.serving.handler import load_handler
from opt_ml.serving.invocation import Model

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


def check(answer: Answer) -> None:
    assert answer.status == 200 or 400 <= answer.status < 500, answer.body
    if answer.status != 200:
        assert answer.content_type == "application/json"
        cause = json.loads(answer.body)["error"]
        assert cause
        assert "\n" not in cause
        assert len(cause) <= 1500  # the platform shows 2048 characters of the body
        assert len(answer.body) < 10_000
