"""The image's handler: the functions of `opt_ml.serving.handler` for a trained predictor.

Requests that wait together are predicted together (`predict_batch_fn`), on arrays where the predictor can be
compiled (see `compiled`).

What an answer holds, by the Accept parameter `output` or the environment variable AUTOGLUON_OUTPUT:

| output | regression | classes | quantiles |
|---|---|---|---|
| `predictions` (the default) | the number | as `labels` | one column a level |
| `labels` | 400 | the class | 400 |
| `probability` | 400 | of the positive one of two classes | 400 |
| `probabilities` | 400 | one column a class | 400 |
| `explanation` | see `explaining` | see `explaining` | see `explaining` |
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from autogluon.tabular import TabularPredictor
from opt_ml.errors import RequestError, UserError
from opt_ml.serving.codecs import decode_table, encode_columns
from opt_ml.serving.outputs import choose_output, default_output
from opt_ml.serving.quick import is_wanted
from opt_ml.serving.table import Table

from opt_ml_autogluon.tabular.columns import Columns, Values
from opt_ml_autogluon.tabular.compiled.program import compile_predictor
from opt_ml_autogluon.tabular.description import read_description
from opt_ml_autogluon.tabular.explaining import BACKGROUND, explain, read_background
from opt_ml_autogluon.tabular.served import Prediction, Served, bound_threads, join

_OUTPUTS = {
    "binary": ("predictions", "labels", "probability", "probabilities"),
    "multiclass": ("predictions", "labels", "probabilities"),
    "regression": ("predictions",),
    "quantile": ("predictions",),
}
_EXPLANATION = "explanation"


def model_fn(model_dir: str) -> Served:
    """Load the predictor, with its models in memory and warm.

    Raises:
        UserError: no predictor there, one of another version of AutoGluon, or an AUTOGLUON_OUTPUT that the
            model cannot give.
    """
    description = read_description(Path(model_dir))
    background = read_background(Path(model_dir) / BACKGROUND, description.columns)
    outputs = _OUTPUTS[description.problem_type]
    if background is not None:
        outputs = (*outputs, _EXPLANATION)
    output = default_output("AUTOGLUON_OUTPUT", outputs, "predictions")
    try:
        predictor = TabularPredictor.load(model_dir, verbosity=0)
    except AssertionError as error:  # of another version of AutoGluon or Python
        raise UserError(f"{model_dir} cannot be loaded: {error}") from None
    predictor.persist()
    bound_threads(predictor)
    # Each call warns that the number of rows differs from that of the fit, and the like.
    logging.getLogger("autogluon").setLevel(logging.ERROR)
    program = compile_predictor(predictor, description.columns, background) if is_wanted() else None
    served = Served(predictor, description.columns, outputs, output, background, program)
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
    return join(model, [model.columns.values(data)])[0]


def predict_batch_fn(data: Sequence[Table], model: Served) -> list[Prediction | RequestError]:
    """The predictions of several requests by one call of each model, or the 400 of one that does not fit."""
    fitting = model.columns.joined_values(data)
    if fitting is not None:
        return [*join(model, fitting)]
    read = [_values_or_error(table, model.columns) for table in data]
    fitting = [item for item in read if isinstance(item, Values)]
    predictions = iter(join(model, fitting) if fitting else ())
    return [item if isinstance(item, RequestError) else next(predictions) for item in read]


def output_fn(prediction: Prediction, accept: str) -> tuple[bytes, str]:
    """The answer's body and Content-Type.

    Raises:
        RequestError: 406 for an unknown type, 400 for an output that the model cannot give.
    """
    joined, rows = prediction.joined, prediction.rows
    media_type, output = choose_output(accept, joined.served.outputs, joined.served.output)
    if output == _EXPLANATION:
        return encode_columns(explain(joined.served, joined.values.part(rows)), media_type)
    columns = {name: column[rows] for name, column in joined.columns(output).items()}
    return encode_columns(columns, media_type)


def _values_or_error(table: Table, columns: Columns) -> Values | RequestError:
    try:
        return columns.values(table)
    except RequestError as error:
        return error


def _warm_up(served: Served) -> None:
    """The first prediction takes a second longer than others: let it be that of a row without values."""
    width = len(served.columns.features)
    row = Table(np.full((1, width), np.nan))
    try:
        served.predict(served.columns.values(row))
    except Exception as error:  # a model may need a value; requests will bring one
        print(f"Not warmed up: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
