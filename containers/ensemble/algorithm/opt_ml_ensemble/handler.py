"""The image's handler: the functions of `opt_ml.serving.handler` for a trained ensemble.

What an answer holds: see `outputs`. A batch is predicted by the compiled ensemble where that takes less time
for so many rows, else by the models themselves. These and their frameworks are loaded when a request first
needs them: a worker without them is ready in a quarter of a second, in a fifth of the memory.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from opt_ml.errors import RequestError
from opt_ml.resources import threads_of_worker
from opt_ml.serving.codecs import decode_table, encode_columns
from opt_ml.serving.quick import is_wanted
from opt_ml.serving.table import Table

from opt_ml_ensemble.compiled.loading import Compiled, Unusable, load_compiled
from opt_ml_ensemble.description import read_description
from opt_ml_ensemble.outputs import answer_columns, choose_output, default_output
from opt_ml_ensemble.request import request_matrix
from opt_ml_ensemble.schema import Matrix, Schema

if TYPE_CHECKING:
    from opt_ml_ensemble.bundle import Bundle

MANY_ROWS = 1000


class Served:
    """A loaded model.

    Args:
        model_dir: where it lies.
        threads: for requests of MANY_ROWS or more; fewer rows are done before a second thread is awake.
        compiled: the same as one graph, or None.

    Attributes:
        schema: columns, label, task, classes.
        output: what an answer holds that nobody asked for otherwise.

    Raises:
        UserError: no ensemble there, or an ENSEMBLE_OUTPUT that the model cannot give.
    """

    def __init__(self, model_dir: Path, threads: int = 1, compiled: Compiled | None = None) -> None:
        description = read_description(model_dir)
        self.schema: Schema = description.schema
        self.output = default_output(description.schema, description.output)
        self._model_dir = model_dir
        self._threads = threads
        self.compiled = compiled
        if compiled is None or self.output == "models":
            _ = self.bundle  # which the first request would wait for

    @cached_property
    def bundle(self) -> Bundle:
        """The models themselves.

        Raises:
            UserError: a file that is missing or broken, by its name.
        """
        from opt_ml_ensemble.bundle import load_bundle  # the frameworks

        return load_bundle(self._model_dir)

    def predict(self, matrix: Matrix) -> NDArray[np.float64]:
        """The blend's prediction, by whichever way is the faster for so many rows."""
        threads = self.threads_for(matrix)
        if self.compiled is not None and self.compiled.is_faster(len(matrix), threads):
            return self.compiled.predict(matrix)
        return self.bundle.predict(matrix, threads)

    def threads_for(self, matrix: Matrix) -> int:
        """Threads worth their while for so many rows."""
        return self._threads if len(matrix) >= MANY_ROWS else 1


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
        UserError: see `Served`.
    """
    return Served(Path(model_dir), threads_of_worker(), _compiled(Path(model_dir)))


def _compiled(model_dir: Path) -> Compiled | None:
    """The compiled ensemble, where there is one that some batch is faster by."""
    try:
        compiled = load_compiled(model_dir) if is_wanted() else None
    except Unusable as found:
        print(f"The compiled model is not used: {found}.", file=sys.stderr, flush=True)
        return None
    return compiled if compiled is not None and compiled.most_rows else None


def input_fn(body: bytes, content_type: str) -> Table:
    """The records of a request; see `opt_ml.serving.codecs` for the types."""
    return decode_table(body, content_type)


def predict_fn(data: Table, model: Served) -> Prediction:
    """The blend's prediction.

    Raises:
        RequestError: 400 for columns that do not fit the model.
    """
    matrix = request_matrix(data, model.schema)
    return Prediction(model, matrix, model.predict(matrix))


def predict_batch_fn(data: Sequence[Table], model: Served) -> list[Prediction | RequestError]:
    """The predictions of several requests by one call of each model, or the 400 of one that does not fit."""
    found = [_matrix_or_error(table, model) for table in data]
    matrices = [item for item in found if isinstance(item, np.ndarray)]
    if not matrices:
        return [item for item in found if isinstance(item, RequestError)]
    joined = np.concatenate(matrices)
    blended = model.predict(joined)
    ends = np.cumsum([len(matrix) for matrix in matrices])
    parts = iter(zip(matrices, np.split(blended, ends[:-1]), strict=True))
    return [item if isinstance(item, RequestError) else Prediction(model, *next(parts)) for item in found]


def _matrix_or_error(table: Table, model: Served) -> Matrix | RequestError:
    try:
        return request_matrix(table, model.schema)
    except RequestError as error:
        return error


def output_fn(prediction: Prediction, accept: str) -> tuple[bytes, str]:
    """The answer's body and Content-Type.

    Raises:
        RequestError: 406 for an unknown type, 400 for an output that the model cannot give.
    """
    served = prediction.served
    schema = served.schema
    media_type, output = choose_output(accept, schema, served.output)
    return encode_columns(answer_columns(schema, output, prediction.blended, prediction.each), media_type)
