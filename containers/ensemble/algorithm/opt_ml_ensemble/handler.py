"""The image's handler: the functions of `opt_ml.serving.handler` for a trained ensemble.

What an answer holds: see `outputs`. A batch is predicted by the compiled ensemble where that takes less time
for so many rows, else by the models themselves.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from opt_ml.errors import RequestError
from opt_ml.serving.codecs import decode_table, encode_columns
from opt_ml.serving.quick import is_wanted
from opt_ml.serving.table import Table

from opt_ml_ensemble.bundle import Bundle, load_bundle
from opt_ml_ensemble.compiled.loading import Compiled, Unusable, load_compiled
from opt_ml_ensemble.compiled.timing import measure
from opt_ml_ensemble.outputs import answer_columns, choose_output, default_output
from opt_ml_ensemble.request import request_matrix
from opt_ml_ensemble.schema import Matrix

MANY_ROWS = 1000
_MEASURED = (1, 32, 256, MANY_ROWS)


@dataclass(frozen=True)
class Served:
    """A loaded model.

    Attributes:
        output: what an answer holds that nobody asked for otherwise.
        threads: for requests of MANY_ROWS or more; fewer rows are done before a second thread is awake.
        compiled: the same as one graph, or None.
        fast_sizes: numbers of rows, of those measured, that `compiled` takes less time for.
    """

    bundle: Bundle
    output: str
    threads: int
    compiled: Compiled | None = None
    fast_sizes: frozenset[int] = frozenset()

    def predict(self, matrix: Matrix) -> NDArray[np.float64]:
        """The blend's prediction, by whichever way is the faster for so many rows."""
        measured = max((size for size in _MEASURED if size <= len(matrix)), default=1)
        if self.compiled is not None and measured in self.fast_sizes:
            return self.compiled.predict(matrix)
        return self.bundle.predict(matrix, self.threads_for(matrix))

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
    output = default_output(bundle.schema, bundle.output)
    threads = os.environ.get("OMP_NUM_THREADS", "")
    served = Served(bundle, output, int(threads) if threads.isdigit() and int(threads) else 1)
    return _with_compiled(served, Path(model_dir))


def _with_compiled(served: Served, model_dir: Path) -> Served:
    """The compiled ensemble beside the models, where there is one and some batch is faster by it."""
    try:
        compiled = load_compiled(model_dir) if is_wanted() else None
    except Unusable as found:
        print(f"The compiled model is not used: {found}.", file=sys.stderr, flush=True)
        return served
    if compiled is None:
        return served
    ways = {"native": served.predict, "compiled": compiled.predict}
    seconds = measure(ways, compiled.stored.rows, _MEASURED)
    fast = frozenset(size for size in _MEASURED if seconds["compiled"][size] < seconds["native"][size])
    return Served(served.bundle, served.output, served.threads, compiled, fast) if fast else served


def input_fn(body: bytes, content_type: str) -> Table:
    """The records of a request; see `opt_ml.serving.codecs` for the types."""
    return decode_table(body, content_type)


def predict_fn(data: Table, model: Served) -> Prediction:
    """The blend's prediction.

    Raises:
        RequestError: 400 for columns that do not fit the model.
    """
    matrix = request_matrix(data, model.bundle.schema)
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
        return request_matrix(table, model.bundle.schema)
    except RequestError as error:
        return error


def output_fn(prediction: Prediction, accept: str) -> tuple[bytes, str]:
    """The answer's body and Content-Type.

    Raises:
        RequestError: 406 for an unknown type, 400 for an output that the model cannot give.
    """
    served = prediction.served
    schema = served.bundle.schema
    media_type, output = choose_output(accept, schema, served.output)
    return encode_columns(answer_columns(schema, output, prediction.blended, prediction.each), media_type)
