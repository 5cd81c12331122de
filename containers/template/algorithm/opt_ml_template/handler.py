"""The image's handler: requests of rows to predictions (see `opt_ml.serving.handler`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from opt_ml.serving.codecs import ENCODABLE, choose_accept, decode_table, encode_columns
from opt_ml.serving.media import JSON
from opt_ml.serving.table import Table
from opt_ml.tables.request import Expected, numbers

from opt_ml_template.model import Line


def model_fn(model_dir: str) -> Line:
    """Load the model.

    Raises:
        UserError: see `Line.load`.
    """
    return Line.load(Path(model_dir))


def input_fn(body: bytes, content_type: str) -> Table:
    """Any media type of `opt_ml.serving.codecs`, as a table.

    Raises:
        RequestError: 400 for a body that is no table, 415 for another media type.
    """
    return decode_table(body, content_type)


def predict_fn(data: Table, model: Line) -> NDArray[np.float64]:
    """Predictions of shape (rows,).

    Raises:
        RequestError: 400 for missing columns, or text where a number belongs.
    """
    table, positions = Expected(model.features, model.features, model.label, named=model.named).match(data)
    columns = zip(positions, model.features, strict=True)
    return model.predict(np.column_stack([numbers(table.values[:, at], name, at) for at, name in columns]))


def output_fn(prediction: NDArray[np.float64], accept: str) -> tuple[bytes, str]:
    """The predictions as JSON, CSV or another type that the client accepts.

    Raises:
        RequestError: 406 where it accepts none of them.
    """
    return encode_columns({"prediction": prediction}, choose_accept(accept, ENCODABLE, JSON))
