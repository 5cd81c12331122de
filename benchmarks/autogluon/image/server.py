"""AWS's contract for AutoGluon, `model_fn` and `transform_fn`, as a WSGI application: one request at a time.

The two functions are those of the published examples: the predictor in memory, the request read by pandas.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd
from autogluon.tabular import TabularPredictor

Start = Callable[[str, list[tuple[str, str]]], Any]


def model_fn(model_dir: str) -> TabularPredictor:
    """The predictor, with its models in memory."""
    predictor = TabularPredictor.load(model_dir, verbosity=0)
    predictor.persist()
    return predictor


def transform_fn(model: TabularPredictor, body: str) -> str:
    """Predictions for CSV without a header, as CSV."""
    frame = pd.read_csv(io.StringIO(body), header=None, names=model.original_features)
    return str(model.predict(frame).to_csv(header=False, index=False))


MODEL = model_fn("/opt/ml/model")


def application(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    """`/ping` and `/invocations`."""
    if environ["PATH_INFO"] == "/ping":
        start_response("200 OK", [("Content-Length", "0")])
        return [b""]
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
    answer = transform_fn(MODEL, body).encode()
    start_response("200 OK", [("Content-Type", "text/csv"), ("Content-Length", str(len(answer)))])
    return [answer]
