"""NumPy's npy format to arrays and tables. It carries no code: pickled objects are refused."""

from __future__ import annotations

import io
import math
import sys
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from opt_ml.errors import RequestError
from opt_ml.serving.codecs.records import table_from_rows
from opt_ml.serving.media import MediaType
from opt_ml.serving.table import Table

_HEADER_READERS = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
}
_USUAL_HEADER = 128  # bytes: longer ones are not kept
_MOST_AXES = 32  # what every NumPy can hold


def decode_npy(body: bytes, media_type: MediaType) -> Table:
    """The rows of an npy file: shape (rows, columns), (columns,) for one row, or a structured (rows,).

    Raises:
        RequestError: 400 for another shape, objects (pickle), a cut body, no record, or values that are
            neither numbers nor text.
    """
    return table_from_array(read_npy(body))


def table_from_array(values: NDArray[Any], name: str = "npy array") -> Table:
    """The rows of an array of one of the shapes that `decode_npy` takes.

    Args:
        values: as `read_npy` returns it.
        name: of the array, for the errors.

    Raises:
        RequestError: 400 for another shape, no record, or values that are neither numbers nor text.
    """
    if not values.size:
        raise RequestError(
            400, f"The {name} has shape {values.shape} and holds no record. Send at least one."
        )
    if values.dtype.names:
        names = values.dtype.names
        return table_from_rows([list(row) for row in _to_list(values.reshape(-1))], names)
    if values.ndim == 1:
        values = values.reshape(1, -1)
    if values.ndim != 2:
        raise RequestError(400, f"The {name} has shape {values.shape}. Send (rows, columns).")
    if values.dtype.kind in "biuf":
        return Table(values.astype(np.float64))
    if values.dtype.kind == "U":
        return table_from_rows(_to_list(values))
    raise RequestError(400, f"The {name} holds {values.dtype}. Send numbers or text.")


def read_npy(body: bytes, name: str = "npy array") -> NDArray[Any]:
    """The array of an npy file, of any shape.

    Args:
        body: the whole file; the array is a read-only view of it.
        name: of the array, for the errors.

    Raises:
        RequestError: 400 for a body that is not an npy file, a cut one, objects (pickle), or fields of
            no bytes or of several values.
    """
    # np.load would trust the shape of the header and allocate it before it reads the data.
    start = _header_length(body)
    try:
        parse = _parse_header if start <= _USUAL_HEADER else _parse_header.__wrapped__
        shape, fortran_order, dtype = parse(body[:start])
    except Exception as error:  # the header is Python text, and NumPy raises whatever its parsing trips over
        cause = " ".join(str(error).split())[:200] or type(error).__name__
        raise RequestError(400, f"The {name} is not in the npy format ({cause}).") from None
    if dtype.hasobject:
        raise RequestError(400, f"The {name} holds Python objects. Send numbers or text, never pickles.")
    if len(shape) > _MOST_AXES or not all(0 <= size <= sys.maxsize for size in shape):
        # Without the numbers: Python refuses to write those of more than 4300 digits.
        raise RequestError(400, f"The header of the {name} has an impossible shape. Send (rows, columns).")
    needed, found = math.prod(shape) * dtype.itemsize, len(body) - start
    if needed != found:
        raise RequestError(
            400, f"The header of the {name} says {shape} and needs {needed} bytes of data, but {found} came."
        )
    if not dtype.itemsize or dtype.subdtype or any(_is_no_field(dtype[field]) for field in dtype.names or ()):
        # Fields of no bytes cost nothing to send, but a Python object each to list.
        raise RequestError(400, f"The {name} has a field that is no number or text. Send one value a field.")
    try:
        flat = np.frombuffer(body, dtype=dtype, offset=start) if needed else np.empty(0, dtype=dtype)
        return flat.reshape(shape, order="F" if fortran_order else "C")
    except ValueError:
        raise RequestError(400, f"The header of the {name} has the impossible shape {shape}.") from None


def _header_length(body: bytes) -> int:
    """Where the data of an npy file begins, as its header says."""
    end = 12 if body[6:7] == b"\x02" else 10
    return end + int.from_bytes(body[8:end], "little")


@lru_cache(maxsize=64)
def _parse_header(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether the columns lie one after the other, and type.

    Clients send one shape again and again, and NumPy reads a header as Python source, which takes longer than
    all else of a small request.
    """
    stream = io.BytesIO(header)
    return _HEADER_READERS[npy_format.read_magic(stream)](stream)


def _is_no_field(dtype: np.dtype[Any]) -> bool:
    return dtype.subdtype is not None or dtype.names is not None or dtype.itemsize == 0


def _to_list(values: NDArray[Any]) -> list[Any]:
    try:
        return list(values.tolist())
    except (ValueError, SystemError) as error:  # code points that do not exist; SystemError beyond 31 bits
        raise RequestError(400, f"The array holds text that is not Unicode ({error}).") from None
