"""The image's handler: the functions of `opt_ml.serving.handler` for a trained predictor.

Requests that wait together are predicted together (`predict_batch_fn`): AutoGluon takes about as long for one
row as for hundreds.

What an answer holds, by the Accept parameter `output` or the environment variable AUTOGLUON_OUTPUT:

| output | regression | classes | quantiles |
|---|---|---|---|
| `predictions` (the default) | the number | as `labels` | one column a level |
| `labels` | 400 | the class | 400 |
| `probability` | 400 | of the positive one of two classes | 400 |
| `probabilities` | 400 | one column a class | 400 |
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from autogluon.tabular import TabularPredictor
from numpy.typing import NDArray
from opt_ml.errors import RequestError, UserError
from opt_ml.serving.codecs import decode_table, encode_columns
from opt_ml.serving.outputs import choose_output, default_output
from opt_ml.serving.table import Table

from opt_ml_autogluon.tabular.columns import Columns, Values
from opt_ml_autogluon.tabular.description import read_description

_OUTPUTS = {
    "binary": ("predictions", "labels", "probability", "probabilities"),
    "multiclass": ("predictions", "labels", "probabilities"),
    "regression": ("predictions",),
    "quantile": ("predictions",),
}


@dataclass(frozen=True)
class Served:
    """A loaded model.

    Attributes:
        outputs: the values of `output` that it can give.
        output: what an answer holds that nobody asked for otherwise.
    """

    predictor: TabularPredictor
    columns: Columns
    outputs: tuple[str, ...]
    output: str

    def predict(self, requests: Sequence[Values]) -> pd.DataFrame:
        """Probabilities by class, quantiles by level, or one column of numbers; a row for each row."""
        frame = self.columns.frame(requests)
        if self.predictor.can_predict_proba:
            return self.predictor.predict_proba(frame, as_multiclass=True)
        return pd.DataFrame(self.predictor.predict(frame))


@dataclass(frozen=True)
class Prediction:
    """What the model says of a request's rows; see `Served.predict`."""

    served: Served
    found: pd.DataFrame


def model_fn(model_dir: str) -> Served:
    """Load the predictor, with its models in memory and warm.

    Raises:
        UserError: no predictor there, one of another version of AutoGluon, or an AUTOGLUON_OUTPUT that the
            model cannot give.
    """
    description = read_description(Path(model_dir))
    outputs = _OUTPUTS[description.problem_type]
    output = default_output("AUTOGLUON_OUTPUT", outputs, "predictions")
    try:
        predictor = TabularPredictor.load(model_dir, verbosity=0)
    except AssertionError as error:  # of another version of AutoGluon or Python
        raise UserError(f"{model_dir} cannot be loaded: {error}") from None
    predictor.persist()
    _bound_threads(predictor)
    # Each call warns that the number of rows differs from that of the fit, and the like.
    logging.getLogger("autogluon").setLevel(logging.ERROR)
    served = Served(predictor, description.columns, outputs, output)
    _warm_up(served)
    return served


def input_fn(body: bytes, content_type: str) -> Table:
    """The records of a request; see `opt_ml.serving.codecs` for the types."""
    return decode_table(body, content_type)


def predict_fn(data: Table, model: Served) -> Prediction:
    """The prediction for one request.

    Raises:
        RequestError: 400 for columns that do not fit the model.
    """
    return Prediction(model, model.predict([model.columns.values(data)]))


def predict_batch_fn(data: Sequence[Table], model: Served) -> list[Prediction | RequestError]:
    """The predictions of several requests by one call of each model, or the 400 of one that does not fit."""
    read = [_values_or_error(table, model.columns) for table in data]
    fitting = [item for item in read if isinstance(item, Values)]
    if not fitting:
        return [item for item in read if isinstance(item, RequestError)]
    found = model.predict(fitting)
    ends = np.cumsum([len(values.numbers) for values in fitting])
    parts = iter([found.iloc[start:end] for start, end in zip([0, *ends], ends, strict=False)])
    return [item if isinstance(item, RequestError) else Prediction(model, next(parts)) for item in read]


def output_fn(prediction: Prediction, accept: str) -> tuple[bytes, str]:
    """The answer's body and Content-Type.

    Raises:
        RequestError: 406 for an unknown type, 400 for an output that the model cannot give.
    """
    served = prediction.served
    media_type, output = choose_output(accept, served.outputs, served.output)
    return encode_columns(_columns(served, output, prediction.found), media_type)


def _columns(served: Served, output: str, found: pd.DataFrame) -> Mapping[str, NDArray[Any]]:
    predictor = served.predictor
    if not predictor.can_predict_proba:
        single = found.shape[1] == 1
        return {
            "prediction" if single else str(name): np.ascontiguousarray(found[name].to_numpy())
            for name in found.columns
        }
    if output == "probability":
        return {"probability": found[predictor.positive_class].to_numpy()}
    if output == "probabilities":
        return {str(name): np.ascontiguousarray(found[name].to_numpy()) for name in found.columns}
    return {"label": predictor.predict_from_proba(found).to_numpy()}


def _values_or_error(table: Table, columns: Columns) -> Values | RequestError:
    try:
        return columns.values(table)
    except RequestError as error:
        return error


def _bound_threads(predictor: TabularPredictor) -> None:
    """As many threads as a worker is to have: forests would start one for each CPU of the fit.

    For a few rows, which joined requests are, starting them takes several times as long as the work.
    """
    threads = os.environ.get("OMP_NUM_THREADS", "")
    number = int(threads) if threads.isdigit() and int(threads) else 1
    for name in predictor.model_names(persisted=True):
        model = predictor._trainer.load_model(name)
        children = [model.load_child(child) for child in getattr(model, "models", [])]
        for one in (model, *children):
            estimator: Any = getattr(one, "model", None)
            if getattr(estimator, "n_jobs", None) is not None:
                estimator.n_jobs = number


def _warm_up(served: Served) -> None:
    """The first prediction takes a second longer than others: let it be that of a row without values."""
    width = len(served.columns.features)
    row = Table(np.full((1, width), np.nan))
    try:
        served.predict([served.columns.values(row)])
    except Exception as error:  # a model may need a value; requests will bring one
        print(f"Not warmed up: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
