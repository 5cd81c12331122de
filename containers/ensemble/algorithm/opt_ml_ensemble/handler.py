"""The image's handler: the functions of `opt_ml.serving.handler` for a trained ensemble.

What an answer holds is chosen by the Accept parameter `output`, else by the environment variable
ENSEMBLE_OUTPUT (batch transform cannot send Accept parameters everywhere), else by the objective that
the model was trained with.

| output | regression | classes |
|---|---|---|
| `predictions` | the number | as `labels` |
| `labels` | 400 | the most probable class |
| `probability` | 400 | of the second of two classes, as XGBoost's `binary:logistic` answers |
| `probabilities` | 400 | one column a class |
| `models` | the blend and every single model | the same, as classes |
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opt_ml.errors import RequestError, UserError
from opt_ml.serving.codecs import ENCODABLE, choose_accept, decode_table, encode_columns
from opt_ml.serving.table import Table

from opt_ml_ensemble.bundle import Bundle, load_bundle
from opt_ml_ensemble.request import request_matrix
from opt_ml_ensemble.schema import Matrix, Schema

OUTPUTS = ("predictions", "labels", "probability", "probabilities", "models")
DEFAULT_ACCEPT = "text/csv"  # as SageMaker's own XGBoost answers; batch transform joins its lines
MANY_ROWS = 1000


@dataclass(frozen=True)
class Served:
    """A loaded model.

    Attributes:
        output: what an answer holds that nobody asked for otherwise.
        threads: for requests of MANY_ROWS or more; fewer rows are done before a second thread is awake.
    """

    bundle: Bundle
    output: str
    threads: int

    def threads_for(self, matrix: Matrix) -> int:
        """Threads worth their while for so many rows."""
        return self.threads if len(matrix) >= MANY_ROWS else 1


@dataclass(frozen=True)
class Prediction:
    """What the models say of a request's rows.

    Attributes:
        matrix: the rows; single models are only asked when the answer is to hold them.
        blended: shape (rows,), or (rows, classes) of probabilities.
    """

    served: Served
    matrix: Matrix
    blended: NDArray[np.float64]

    def each(self) -> Mapping[str, NDArray[np.float64]]:
        """Every model's prediction, of the same shape."""
        return self.served.bundle.predict_each(self.matrix, self.served.threads_for(self.matrix))


def model_fn(model_dir: str) -> Served:
    """Load the ensemble.

    Raises:
        UserError: no ensemble there, or an ENSEMBLE_OUTPUT that the model cannot give.
    """
    bundle = load_bundle(Path(model_dir))
    output = os.environ.get("ENSEMBLE_OUTPUT", "").strip().lower() or bundle.output
    allowed = allowed_outputs(bundle.schema)
    if output not in allowed:
        raise UserError(f"ENSEMBLE_OUTPUT is {output!r}; this model can give: {', '.join(allowed)}.")
    threads = os.environ.get("OMP_NUM_THREADS", "")
    return Served(bundle, output, int(threads) if threads.isdigit() and int(threads) else 1)


def input_fn(body: bytes, content_type: str) -> Table:
    """The records of a request; see `opt_ml.serving.codecs` for the types."""
    return decode_table(body, content_type)


def predict_fn(data: Table, model: Served) -> Prediction:
    """The blend's prediction.

    Raises:
        RequestError: 400 for columns that do not fit the model.
    """
    matrix = request_matrix(data, model.bundle.schema)
    return Prediction(model, matrix, model.bundle.predict(matrix, model.threads_for(matrix)))


def predict_batch_fn(data: Sequence[Table], model: Served) -> list[Prediction | RequestError]:
    """The predictions of several requests by one call of each model, or the 400 of one that does not fit."""
    found = [_matrix_or_error(table, model) for table in data]
    matrices = [item for item in found if isinstance(item, np.ndarray)]
    if not matrices:
        return [item for item in found if isinstance(item, RequestError)]
    joined = np.concatenate(matrices)
    blended = model.bundle.predict(joined, model.threads_for(joined))
    ends = np.cumsum([len(matrix) for matrix in matrices])
    parts = iter(zip(matrices, np.split(blended, ends[:-1]), strict=True))
    return [item if isinstance(item, RequestError) else Prediction(model, *next(parts)) for item in found]


def _matrix_or_error(table: Table, model: Served) -> Matrix | RequestError:
    try:
        return request_matrix(table, model.bundle.schema)
    except RequestError as error:
        return error


def output_fn(prediction: Prediction, accept: str) -> tuple[bytes, str]:
    """The answer's body and Content-Type.

    Raises:
        RequestError: 406 for an unknown type, 400 for an output that the model cannot give.
    """
    media_type = choose_accept(accept, ENCODABLE, DEFAULT_ACCEPT)
    output = media_type.parameters.get("output", prediction.served.output).lower()
    allowed = allowed_outputs(prediction.served.bundle.schema)
    if output not in allowed:
        raise RequestError(
            400,
            f"Accept asks for output={output[:100]}, which this model cannot give. "
            f"Use one of: {', '.join(allowed)}.",
        )
    return encode_columns(_columns(prediction, output), media_type)


def allowed_outputs(schema: Schema) -> tuple[str, ...]:
    """The values of `output` that fit the task."""
    if schema.task == "regression":
        return ("predictions", "models")
    return OUTPUTS if schema.task == "binary" else tuple(name for name in OUTPUTS if name != "probability")


def _columns(prediction: Prediction, output: str) -> dict[str, NDArray[Any]]:
    schema, blended = prediction.served.bundle.schema, prediction.blended
    if schema.task == "regression":
        single = {"prediction": blended}
        return {**single, **prediction.each()} if output == "models" else single
    if output == "probability":
        return {"probability": blended[:, 1]}
    if output == "probabilities":
        return {str(name): np.ascontiguousarray(blended[:, code]) for code, name in enumerate(schema.classes)}
    labels = {"label": _labels(schema, blended)}
    if output == "models":
        labels |= {name: _labels(schema, found) for name, found in prediction.each().items()}
    return labels


def _labels(schema: Schema, probabilities: NDArray[np.float64]) -> NDArray[Any]:
    kinds = {type(name) for name in schema.classes}
    classes = np.array(schema.classes, dtype=object if str in kinds else None)
    chosen: NDArray[Any] = classes[probabilities.argmax(axis=1)]
    return chosen
