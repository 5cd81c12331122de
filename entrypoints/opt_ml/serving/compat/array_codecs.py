"""Arrays as AWS's toolkits read and write them (HANDLER-08)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

ANY = "*/*"
CSV = "text/csv"
JSON = "application/json"
NPY = "application/x-npy"
NPZ = "application/x-npz"
OCTET_STREAM = "application/octet-stream"
UTF8_TYPES = [JSON, CSV]


class UnsupportedFormatError(Exception):
    """The type cannot be read or written; the client gets 415."""

    status_code = 415

    def __init__(self, content_type: str) -> None:
        self.message = (
            f"Content type {content_type} is not supported. Implement input_fn or output_fn for it."
        )
        super().__init__(self.message)


def read_json(text: str | bytes) -> NDArray[Any]:
    """The array that `numpy.array` makes of the JSON value."""
    return np.array(json.loads(text))


def read_csv(text: str | bytes) -> NDArray[np.float64]:
    """Numbers of shape (rows, columns), without the axes of length 1; NaN for what is no number."""
    lines = text.decode() if isinstance(text, bytes) else text
    return np.genfromtxt(io.StringIO(lines), delimiter=",")


def read_npy(body: bytes) -> NDArray[Any]:
    """The array of an .npy file, or the arrays of an .npz file.

    Raises:
        ValueError: it holds pickled objects, which could run code here.
    """
    return np.load(io.BytesIO(body), allow_pickle=False)  # type: ignore[no-any-return]


def write_json(array_like: Any) -> str:
    """JSON of anything that has `tolist`, or that JSON can hold."""
    return json.dumps(array_like, default=lambda value: value.tolist())


def write_csv(array_like: Any) -> str:
    """One line a row; an array of one axis is a column."""
    array = np.asarray(array_like)
    stream = io.StringIO()
    rows = array.reshape(-1, 1) if array.ndim < 2 else array
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def write_npy(array_like: Any) -> bytes:
    """An .npy file.

    Raises:
        ValueError: an array of objects.
    """
    stream = io.BytesIO()
    np.save(stream, array_like, allow_pickle=False)
    return stream.getvalue()


_READERS: Mapping[str, Callable[[Any], Any]] = {JSON: read_json, CSV: read_csv, NPY: read_npy, NPZ: read_npy}
_WRITERS: Mapping[str, Callable[[Any], Any]] = {JSON: write_json, CSV: write_csv, NPY: write_npy}
WRITTEN = frozenset(_WRITERS)
"""The media types of `encode`."""


def decode(obj: Any, content_type: str) -> Any:
    """An array of a request's body.

    Raises:
        UnsupportedFormatError: a type other than JSON, CSV, NPY and NPZ.
        ValueError: a body that is not of that type.
    """
    return _codec(_READERS, content_type)(obj)


def encode(array_like: Any, content_type: str) -> Any:
    """The body of an answer.

    Raises:
        UnsupportedFormatError: a type other than JSON, CSV and NPY.
    """
    return _codec(_WRITERS, content_type)(array_like)


def _codec(codecs: Mapping[str, Callable[[Any], Any]], content_type: str) -> Callable[[Any], Any]:
    try:
        return codecs[content_type.partition(";")[0].strip().lower()]
    except KeyError:
        raise UnsupportedFormatError(content_type) from None
