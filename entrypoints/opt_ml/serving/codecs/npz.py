"""NumPy's npz format to arrays and tables: a zip file of npy files, read without pickle and within bounds."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opt_ml.errors import RequestError
from opt_ml.serving.codecs.npy import read_npy, table_from_array
from opt_ml.serving.codecs.records import MOST_FIELDS, MOST_OBJECTS, check_size, table_from_rows
from opt_ml.serving.media import MediaType
from opt_ml.serving.table import Table

_MOST_MEMBERS = 10_000
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # all that NumPy writes
_SPARSE = frozenset({"format", "shape", "data"})
_COMPRESSED_AXIS = {"csr": 0, "csc": 1}


def decode_npz(body: bytes, media_type: MediaType) -> Table:
    """The records of an npz file.

    | arrays | table |
    |---|---|
    | one, of any name | as the same array in an npy file |
    | several, of shape (rows,) | one column each, with its name |
    | `scipy.sparse.save_npz`: csr, csc or coo | its rows, with 0 where the matrix has no value |

    Raises:
        RequestError: 400 as `read_npz`, or for arrays that are no table; 413 for far more values or rows
            than the body has bytes.
    """
    arrays = read_npz(body)
    for array in arrays.values():
        _check_array(array, len(body))
    if arrays.keys() >= _SPARSE:
        return _from_sparse(arrays, len(body))
    if len(arrays) == 1:
        [(name, array)] = arrays.items()
        return table_from_array(array, f"array {name!r}")
    shapes = {name: array.shape for name, array in arrays.items()}
    if any(len(shape) != 1 for shape in shapes.values()) or len(set(shapes.values())) > 1:
        shown = ", ".join(f"{name!r} {shape}" for name, shape in list(shapes.items())[:10])
        raise RequestError(
            400,
            "The npz file must hold one array (rows, columns), or columns of one shape (rows,). "
            f"It holds {shown}.",
        )
    check_size(next(iter(shapes.values()))[0], len(arrays), len(body), MOST_OBJECTS)
    columns = [table_from_array(array.reshape(-1, 1), f"array {name!r}") for name, array in arrays.items()]
    rows = zip(*(column.values[:, 0].tolist() for column in columns), strict=True)
    return table_from_rows(list(rows), tuple(arrays))


def _check_array(array: NDArray[Any], sent: int) -> None:
    """Packed zeros take a thousandth of their bytes, and a byte becomes a float64 or a Python object."""
    if array.dtype.names:
        rows, columns = array.size, len(array.dtype.names)
    elif array.ndim > 1:
        rows, columns = array.shape[0], array.size // max(1, array.shape[0])
    else:
        rows, columns = 1, array.size
    check_size(rows, columns, sent, MOST_FIELDS if array.dtype.kind in "biuf" else MOST_OBJECTS)


def read_npz(body: bytes) -> dict[str, NDArray[Any]]:
    """Every array of an npz file by name, for an `input_fn` whose model takes several.

    Raises:
        RequestError: 400 for a body that is not an npz file, or an array of objects (pickle); 413 for
            arrays that take far more memory than the body.
    """
    try:
        members = _members(body)
    except RequestError:
        raise
    except Exception as error:  # the reader raises whatever a broken file trips over
        cause = " ".join(str(error).split())[:200] or type(error).__name__
        raise RequestError(400, f"The body is not a readable npz file ({cause}).") from None
    if not members:
        raise RequestError(400, "The npz file holds no array. Send at least one.")
    return {name: read_npy(content, f"array {name!r}") for name, content in members.items()}


def _members(body: bytes) -> dict[str, bytes]:
    if body.count(b"PK\x01\x02") > _MOST_MEMBERS:  # each costs far more memory than bytes
        raise RequestError(413, f"The npz file holds more than {_MOST_MEMBERS} arrays. Send fewer.")
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        found = archive.infolist()
        most = max(8 * MOST_FIELDS, len(body))
        if sum(member.file_size for member in found) > most:
            raise RequestError(413, f"The npz file's arrays take more than {most} bytes. Send fewer rows.")
        for member in found:
            if member.compress_type not in _COMPRESSIONS or member.flag_bits & 1:
                raise RequestError(
                    400, f"The npz file's {member.filename[:100]!r} is not as NumPy writes it."
                )
        members = {}
        for member in found:
            with archive.open(member) as stream:
                # Bounded: read() alone would inflate a member whose size is a lie before it counts.
                members[member.filename.removesuffix(".npy")[:1000]] = stream.read(member.file_size)
        return members


def _from_sparse(arrays: Mapping[str, NDArray[Any]], body_size: int) -> Table:
    try:
        kind, data = _kind(arrays["format"]), arrays["data"]
        shape = _whole(arrays["shape"]).tolist()
        if len(shape) != 2 or min(shape) < 1 or data.ndim != 1 or data.dtype.kind not in "biuf":
            raise ValueError(f"shape {shape[:5]}, values of {data.dtype}")
        check_size(shape[0], shape[1], body_size)
        rows, columns = _positions(arrays, kind, shape)
        if not len(rows) == len(columns) == len(data):
            raise ValueError(f"{len(data)} values at {len(rows)} rows and {len(columns)} columns")
        if min(rows.min(initial=0), columns.min(initial=0)) < 0:
            raise ValueError("a position is negative")
        table = np.zeros(shape)
        np.add.at(table, (rows, columns), data.astype(np.float64))  # SciPy adds up what is repeated
    except (KeyError, ValueError, IndexError) as error:
        raise RequestError(
            400, f"The sparse matrix does not hold together ({type(error).__name__}: {error})."
        ) from None
    return Table(table)


def _kind(form: NDArray[Any]) -> str:
    text = form.reshape(-1)[:1].tolist()
    kind = text[0].decode("ascii", "replace") if text and isinstance(text[0], bytes) else str(text[:1])[:20]
    if kind not in (*_COMPRESSED_AXIS, "coo"):
        raise RequestError(400, f"The sparse matrix has the format {kind!r}. Save it as csr, csc or coo.")
    return kind


def _positions(
    arrays: Mapping[str, NDArray[Any]], kind: str, shape: list[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column of each value."""
    if kind == "coo":
        return _whole(arrays["row"]), _whole(arrays["col"])
    axis = _COMPRESSED_AXIS[kind]
    counts = np.diff(_whole(arrays["indptr"]))
    if len(counts) != shape[axis]:
        raise ValueError(f"indptr has {len(counts) + 1} values for {shape[axis]} {('rows', 'columns')[axis]}")
    if counts.min(initial=0) < 0 or counts.sum() != len(arrays["data"]):
        raise ValueError("indptr does not fit the data")
    outer, inner = np.repeat(np.arange(len(counts)), counts), _whole(arrays["indices"])
    return (outer, inner) if axis == 0 else (inner, outer)


def _whole(array: NDArray[Any]) -> NDArray[np.int64]:
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"positions of {array.dtype} with {array.ndim} dimensions")
    return array.astype(np.int64)
