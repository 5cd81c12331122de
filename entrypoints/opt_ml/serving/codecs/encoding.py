"""Predictions to a body: one record for each record of the request, in order (BATCH-13)."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from opt_ml.errors import RequestError
from opt_ml.serving.codecs.record_protobuf import encode_records
from opt_ml.serving.media import CSV, JSON, JSON_LINES, NPY, RECORDIO_PROTOBUF, MediaType

Columns = Mapping[str, NDArray[Any]]


def encode_columns(columns: Columns, accept: MediaType) -> tuple[bytes, str]:
    r"""The answer's body and Content-Type.

    Floats are written in the shortest form that reads back as the same number of their own width.

    | `accept.type` | one column | several columns |
    |---|---|---|
    | text/csv | `1.5\n` | `1.5,setosa\n`, no header; NaN is an empty field |
    | application/json | `{"predictions": [1.5]}` | `{"predictions": [{"name": 1.5, ...}]}` |
    | application/jsonlines | `{"prediction": 1.5}\n` | `{"name": 1.5, ...}\n` |
    | application/x-npy | shape (n,) | shape (n, k) |
    | application/x-recordio-protobuf | one label, of the column's name | one label a column |

    JSON has no NaN and no infinity: both are null.

    Args:
        columns: name to values of shape (n,), the same n in each.
        accept: as `choose_accept` returns it, of a type in `ENCODABLE`.

    Raises:
        RequestError: 406 for a type that is not in `ENCODABLE`.
        ValueError: no column, or columns that are not all of shape (n,).
    """
    shapes = {np.shape(column) for column in columns.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise ValueError(f"prediction columns must all have one shape (n,), but have {sorted(shapes)}")
    encode = _ENCODERS.get(accept.type)
    if encode is None:
        raise RequestError(
            406,
            f"Accept {accept.type!r} is not supported. Ask for one of: {', '.join(ENCODABLE)}.",
            supported=list(ENCODABLE),
        )
    return encode(columns), accept.type


def _csv(columns: Columns) -> bytes:
    fields = [_csv_fields(column) for column in columns.values()]
    lines = fields[0] if len(fields) == 1 else [b",".join(row) for row in zip(*fields, strict=True)]
    return b"\n".join(lines) + b"\n" if lines else b""


def _csv_fields(column: NDArray[Any]) -> list[bytes]:
    if column.dtype.kind in "biu" or (column.dtype.kind == "f" and np.isfinite(column).all()):
        return _dumps(np.ascontiguousarray(column))[1:-1].split(b",") if len(column) else []
    return [_csv_field(value) for value in _values(column)]


def _csv_field(value: Any) -> bytes:
    if value is None or value != value:
        return b""
    text = value if isinstance(value, str) else str(value)
    if any(character in text for character in ',"\r\n'):
        text = '"' + text.replace('"', '""') + '"'
    return text.encode()


def _json(columns: Columns) -> bytes:
    return _dumps({"predictions": _records(columns)})


def _json_lines(columns: Columns) -> bytes:
    if len(columns) == 1:
        records: list[Any] = [{"prediction": value} for value in _records(columns)]
    else:
        records = _records(columns)
    return b"".join([orjson.dumps(record, option=_LINE) for record in records])


def _records(columns: Columns) -> list[Any]:
    values = [_values(column) for column in columns.values()]
    if len(values) == 1:
        return values[0]
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def _npy(columns: Columns) -> bytes:
    arrays = [column.astype(str) if column.dtype == object else column for column in columns.values()]
    stream = io.BytesIO()
    np.save(stream, arrays[0] if len(arrays) == 1 else np.column_stack(arrays), allow_pickle=False)
    return stream.getvalue()


def _values(column: NDArray[Any]) -> list[Any]:
    # tolist() would widen a float32, and 0.1 would be written as 0.10000000149011612.
    if column.dtype.kind == "f" and column.dtype.itemsize < 8:
        return list(column)
    values: list[Any] = column.tolist()
    return values


_LINE = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE


def _dumps(content: Any) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


_ENCODERS: Mapping[str, Callable[[Columns], bytes]] = {
    CSV: _csv,
    JSON: _json,
    **dict.fromkeys(JSON_LINES, _json_lines),
    NPY: _npy,
    RECORDIO_PROTOBUF: encode_records,
}

ENCODABLE = tuple(_ENCODERS)
"""The media types that `encode_columns` writes, the best first."""
