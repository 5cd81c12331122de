"""What a handler does where neither the user nor the image says otherwise."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from opt_ml.errors import UserError
from opt_ml.serving.codecs import ENCODABLE, choose_accept, decode_table, encode_columns, parse_media_type
from opt_ml.serving.codecs.images import FORMATS, decode_image
from opt_ml.serving.codecs.json_text import decode_deep_json
from opt_ml.serving.codecs.npy import read_npy
from opt_ml.serving.media import JSON, JSON_LINES, NPY


def decode_values(body: bytes, content_type: str) -> NDArray[Any]:
    """The request as an array.

    | content type | array |
    |---|---|
    | those of `decode_table` | shape (rows, columns), as `Table.values` |
    | JSON and npy of three dimensions or more | as they are, as the AWS toolkits give them (HANDLER-08) |
    | `image/png`, `image/jpeg` and the others of `images` | shape (height, width, 3), uint8 |

    Raises:
        RequestError: as `decode_table` and `decode_image`.
    """
    name = parse_media_type(content_type).type if content_type else ""
    if name in FORMATS:
        return decode_image(body, name)
    deep = _DEEP.get(name)
    values = deep(body) if deep is not None else None
    return decode_table(body, content_type).values if values is None else values


def decode_inputs(body: bytes, content_type: str) -> Any:
    """What a user's predict_fn gets: as `decode_values`, but a JSON object with `inputs` as the dict it is.

    Clients of the Hugging Face toolkit send it, `{"inputs": ..., "parameters": {...}}`, and its predict_fn
    gets it (HANDLER-42).

    Raises:
        RequestError: as `decode_values`.
    """
    if parse_media_type(content_type).type == JSON:
        with suppress(orjson.JSONDecodeError):
            content = orjson.loads(body)
            if isinstance(content, dict) and "inputs" in content:
                return content
    return decode_values(body, content_type)


def _deep_npy(body: bytes) -> NDArray[Any] | None:
    values = read_npy(body)
    return values if values.ndim > 2 and values.size and values.dtype.kind in "biuf" else None


_DEEP = {JSON: decode_deep_json, NPY: _deep_npy}


def predict(data: Any, model: Any) -> Any:
    """`model.predict(data)`, or `model(data)` for a model without predict."""
    return model.predict(data) if hasattr(model, "predict") else model(data)


def can_predict(model: Any) -> bool:
    """True for a model that `predict` can use."""
    return hasattr(model, "predict") or callable(model)


def check_model(model: Any) -> None:
    """Say at load, not at the first request, that `predict` cannot use this model.

    Raises:
        UserError: it has no `predict` and cannot be called.
    """
    if not can_predict(model):
        raise UserError(
            f"model_fn returned a {type(model).__name__}, which has no predict and cannot be called. "
            "Define predict_fn(data, model)."
        )


def encode_prediction(prediction: Any, accept: str) -> tuple[bytes, str]:
    """An array of shape (n,) or (n, k), or for JSON anything that JSON can hold, as the AWS toolkits do.

    JSON is the bare value, `[1.5, 2.5]`, as clients of the AWS toolkits expect (HANDLER-08), and JSON Lines
    of several columns is one row a line, `[1.5, 2.5]`; the others are those of `encode_columns`.

    Raises:
        RequestError: 406 for a type that is not supported.
        ValueError: a prediction of another shape.
    """
    media_type = choose_accept(accept, ENCODABLE, JSON)
    if media_type.type == JSON:
        return orjson.dumps(prediction, default=_to_json, option=orjson.OPT_SERIALIZE_NUMPY), JSON
    values = np.asarray(prediction)
    if values.ndim not in (1, 2):
        raise ValueError(
            f"a prediction of shape {values.shape} has no default {media_type.type}; use output_fn"
        )
    if values.ndim == 1:
        return encode_columns({"prediction": values}, media_type)
    if media_type.type in JSON_LINES:
        return b"".join(orjson.dumps(row) + b"\n" for row in values.tolist()), media_type.type
    return encode_columns({str(index): values[:, index] for index in range(values.shape[1])}, media_type)


def _to_json(value: Any) -> Any:
    """For orjson: arrays it does not take as they are, NumPy scalars, and frames."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "to_dict"):
        return value.to_dict(orient="records")
    raise TypeError(f"a prediction that holds a {type(value).__name__} has no default JSON; use output_fn")
