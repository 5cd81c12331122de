"""The handler of the tasks image, text and multimodal.

An image comes as the body (`image/png`, `image/jpeg`, ...), or in base64 in a field of a table; a table as
for the other tasks. Requests that wait together are predicted together.

What an answer holds, by the Accept parameter `output` or the environment variable AUTOGLUON_OUTPUT:

| output | regression | classes |
|---|---|---|
| `predictions` (the default) | the number | as `labels` |
| `labels` | 400 | the class |
| `probability` | 400 | of the second of two classes |
| `probabilities` | 400 | one column a class |
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from opt_ml.errors import RequestError, UserError
from opt_ml.serving.codecs import decode_table, encode_columns, media_type_of
from opt_ml.serving.codecs.images import FORMATS, decode_image
from opt_ml.serving.outputs import choose_output, default_output
from opt_ml.serving.table import Table

from opt_ml_autogluon.model_json import read_model_json
from opt_ml_autogluon.pretrained import Weights, offer
from opt_ml_autogluon.tabular.columns import Column, Columns
from opt_ml_autogluon.vision import make_importable, refuse_truncated

MOST_ROWS = 32  # of one pass through the network
_OUTPUTS = {
    "binary": ("predictions", "labels", "probability", "probabilities"),
    "multiclass": ("predictions", "labels", "probabilities"),
    "regression": ("predictions",),
}
_PICTURE = "image_path"


@dataclass(frozen=True)
class Served:
    """A loaded model.

    Attributes:
        kinds: of each feature, by AutoGluon's names.
        outputs: the values of `output` that it can give.
        output: what an answer holds that nobody asked for otherwise.
    """

    predictor: Any
    columns: Columns
    kinds: Mapping[str, str]
    outputs: tuple[str, ...]
    output: str

    def features(self, data: Table | bytes) -> pd.DataFrame:
        """The rows of a request as the network takes them.

        Raises:
            RequestError: 400 for columns that do not fit, or an image that cannot be decoded.
        """
        pictures = [name for name, kind in self.kinds.items() if kind == _PICTURE]
        if isinstance(data, bytes):
            if list(self.kinds) != pictures or len(pictures) != 1:
                names = ", ".join(self.kinds)
                raise RequestError(
                    400, f"The model needs the columns {names}. Send a table, with images in base64."
                )
            return pd.DataFrame({pictures[0]: [data]})
        frame = self.columns.frame(self.columns.values(data))[list(self.kinds)]
        for name, kind in self.kinds.items():
            if kind == _PICTURE:
                frame[name] = [_picture(value, row, name) for row, value in enumerate(frame[name])]
            elif kind in ("text", "categorical"):
                frame[name] = frame[name].fillna("")
        return frame

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Probabilities by class, or one column of numbers; a row for each row."""
        parts = []
        for start in range(0, len(frame), MOST_ROWS):
            part = frame.iloc[start : start + MOST_ROWS].reset_index(drop=True)
            if "labels" in self.outputs:
                parts.append(self.predictor.predict_proba(part, as_pandas=True, realtime=True))
            else:
                found = self.predictor.predict(part, as_pandas=False, realtime=True)
                parts.append(pd.DataFrame({"prediction": np.reshape(found, -1)}))  # of one row it is no array
        return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True)
class Prediction:
    """What the model says of a request's rows; see `Served.predict`."""

    served: Served
    found: pd.DataFrame


def model_fn(model_dir: str) -> Served:
    """Load the predictor.

    Raises:
        UserError: no predictor there, one of another version of AutoGluon, or an AUTOGLUON_OUTPUT that the
            model cannot give.
    """
    with read_model_json(Path(model_dir)) as content:
        outputs = _OUTPUTS[content["problem_type"]]
        kinds = dict(content["kinds"])
        if content["columns"] is None:
            columns = Columns(tuple(Column(name, "text") for name in kinds), str(content["label"]))
        else:
            columns = Columns.from_json(content["columns"])
    output = default_output("AUTOGLUON_OUTPUT", outputs, "predictions")
    # The model brings what its networks are made of: nothing is looked for elsewhere.
    offer(Weights({}), Path(mkdtemp(prefix="weights-")))
    make_importable()
    from autogluon.multimodal import MultiModalPredictor

    refuse_truncated()
    try:
        predictor = MultiModalPredictor.load(model_dir, verbosity=0)
    except AssertionError as error:  # of another version of AutoGluon
        raise UserError(f"{model_dir} cannot be loaded: {error}") from None
    logging.getLogger("autogluon").setLevel(logging.ERROR)
    return Served(predictor, columns, kinds, outputs, output)


def input_fn(body: bytes, content_type: str) -> Table | bytes:
    """The records of a request, or the bytes of one image.

    Raises:
        RequestError: 400 for an image that cannot be decoded; see also `opt_ml.serving.codecs`.
    """
    name = media_type_of(body, content_type).type
    if name not in FORMATS:
        return decode_table(body, content_type)
    decode_image(body, name)
    return bytes(body)


def predict_fn(data: Table | bytes, model: Served) -> Prediction:
    """The prediction for one request.

    Raises:
        RequestError: 400 for rows that do not fit the model.
    """
    return Prediction(model, model.predict(model.features(data)))


def predict_batch_fn(data: Sequence[Table | bytes], model: Served) -> list[Prediction | RequestError]:
    """The predictions of several requests together, or the 400 of one that does not fit."""
    read = [_features_or_error(item, model) for item in data]
    fitting = [item for item in read if isinstance(item, pd.DataFrame)]
    if not fitting:
        return [item for item in read if isinstance(item, RequestError)]
    found = model.predict(pd.concat(fitting, ignore_index=True))
    ends = np.cumsum([len(frame) for frame in fitting])
    parts = iter([found.iloc[start:end] for start, end in zip([0, *ends], ends, strict=False)])
    return [item if isinstance(item, RequestError) else Prediction(model, next(parts)) for item in read]


def output_fn(prediction: Prediction, accept: str) -> tuple[bytes, str]:
    """The answer's body and Content-Type.

    Raises:
        RequestError: 406 for an unknown type, 400 for an output that the model cannot give.
    """
    served = prediction.served
    media_type, output = choose_output(accept, served.outputs, served.output)
    return encode_columns(_columns(prediction.found, output, "labels" in served.outputs), media_type)


def _columns(found: pd.DataFrame, output: str, has_classes: bool) -> Mapping[str, NDArray[Any]]:
    values = found.to_numpy()
    if not has_classes:
        return {"prediction": np.ascontiguousarray(values[:, 0])}
    if output == "probability":
        return {"probability": np.ascontiguousarray(values[:, 1])}
    if output == "probabilities":
        return {str(name): np.ascontiguousarray(found[name].to_numpy()) for name in found.columns}
    return {"label": found.columns.to_numpy()[values.argmax(axis=1)]}


def _features_or_error(data: Table | bytes, model: Served) -> pd.DataFrame | RequestError:
    try:
        return model.features(data)
    except RequestError as error:
        return error


def _picture(value: Any, row: int, name: str) -> bytes:
    """The bytes of an image in base64."""
    try:
        body = base64.b64decode(str(value).partition("base64,")[2] or str(value), validate=True)
        decode_image(body, "application/x-image")
    except (binascii.Error, ValueError):
        raise RequestError(400, f"Row {row + 1}: column {name!r} holds no image in base64.") from None
    except RequestError as error:
        raise RequestError(error.status, f"Row {row + 1}, column {name!r}: {error.message}") from None
    return body
