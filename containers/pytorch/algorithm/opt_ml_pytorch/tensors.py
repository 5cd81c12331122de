"""Requests to tensors and predictions to bodies."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import torch
from numpy.typing import NDArray
from opt_ml.errors import RequestError
from opt_ml.serving import defaults
from opt_ml.serving.codecs import ENCODABLE, choose_accept, media_type_of
from opt_ml.serving.codecs.images import FORMATS
from opt_ml.serving.codecs.npy import read_npy
from opt_ml.serving.media import JSON, NPY

_NUMBERS = "biuf"


def decode_tensor(body: bytes, content_type: str) -> torch.Tensor | dict[str, Any]:
    """`decode_array` as a tensor on the CPU.

    Raises:
        RequestError: see `decode_array`.
    """
    values = decode_array(body, content_type)
    if isinstance(values, dict):
        return values
    # A copy: what was read is a view of the body, and PyTorch has no tensor that may not be written to.
    return torch.from_numpy(np.array(values, order="C"))


def decode_array(body: bytes, content_type: str) -> NDArray[Any] | dict[str, Any]:
    """The request as an array, which may be a view of the body.

    | content type | array |
    |---|---|
    | JSON lists of numbers | of their own shape, float32, as AWS's toolkit makes it |
    | a JSON object whose `inputs` are no numbers | the object, for a predict_fn of the user's (HANDLER-42) |
    | npy | of its own shape and type |
    | images | shape (height, width, 3), uint8 |
    | CSV and the other tables | shape (rows, columns), float32; missing is NaN |

    Raises:
        RequestError: 415 for another type; 400 for a body that does not hold what the type promises, or
            text where a tensor needs a number.
    """
    name = media_type_of(body, content_type).type
    values: Any = None
    if name == JSON:
        values = _read_json(body)
        if isinstance(values, dict):
            return values
    elif name == NPY:
        values = _numbers(read_npy(body))
    if values is None:
        values = _checked(defaults.decode_values(body, content_type))
    if name != NPY and name not in FORMATS:
        with np.errstate(over="ignore"):  # beyond float32: infinite
            values = values.astype(np.float32)
    array: NDArray[Any] = values.astype(values.dtype.newbyteorder("="), copy=False)
    return array


def _read_json(body: bytes) -> NDArray[Any] | dict[str, Any] | None:
    """Numbers, or an object with other `inputs`; None for what `decode_values` has to tell about."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if isinstance(content, dict) and "inputs" in content:
        numbers = _array(content["inputs"])
        return content if numbers is None else numbers
    return _array(content) if isinstance(content, list) else None


def _array(content: Any) -> NDArray[Any] | None:
    try:
        return _numbers(np.array(content))
    except (ValueError, OverflowError):  # lists of different lengths
        return None


def _numbers(values: NDArray[Any]) -> NDArray[Any] | None:
    return values if values.size and values.dtype.kind in _NUMBERS else None


def _checked(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind in _NUMBERS:
        return values
    for place, value in np.ndenumerate(values):
        if isinstance(value, str):
            row, column = (number + 1 for number in place[:2])
            raise RequestError(
                400,
                f"Row {row}, column {column} holds the text {value[:100]!r}. The model takes numbers only.",
                row=row,
                column=column,
            )
    raise RequestError(400, "The request holds neither numbers nor text. The model takes numbers only.")


def encode_prediction(prediction: Any, accept: str) -> tuple[bytes, str]:
    """A tensor, or what `to_arrays` makes of anything that holds tensors.

    JSON is the bare value, `[[0.1, 0.9]]`, as AWS's toolkit writes it (HANDLER-08), and NPY has the tensor's
    own shape; the other types hold a row a line, and so take one or two axes.

    Raises:
        RequestError: 406 for a type that is not supported, or not for such a prediction.
    """
    media_type = choose_accept(accept, ENCODABLE, JSON)
    arrays = to_arrays(prediction)
    if media_type.type != JSON:
        shape = np.shape(arrays) if not isinstance(arrays, Mapping) else None
        if media_type.type == NPY and isinstance(arrays, np.ndarray):
            stream = io.BytesIO()
            np.save(stream, arrays, allow_pickle=False)
            return stream.getvalue(), NPY
        if shape is None or len(shape) > 2:
            what = "an object" if shape is None else f"an array of shape {shape}"
            raise RequestError(
                406, f"The model's answer is {what}, which {media_type.type} cannot hold. Ask for {JSON}."
            )
        arrays = np.atleast_1d(arrays)
    return defaults.encode_prediction(arrays, media_type.type)


def to_arrays(prediction: Any) -> Any:
    """The same with arrays in place of tensors; bfloat16 and other types without a NumPy one as float32."""
    if isinstance(prediction, torch.Tensor):
        values = prediction.detach().cpu()
        if values.dtype.is_floating_point and values.dtype not in (
            torch.float16,
            torch.float32,
            torch.float64,
        ):
            values = values.float()
        return values.numpy()
    if isinstance(prediction, Mapping):
        return {str(name): to_arrays(value) for name, value in prediction.items()}
    if isinstance(prediction, list | tuple):
        return [to_arrays(value) for value in prediction]
    return prediction
