"""`application/x-recordio-protobuf`, the format of SageMaker's own algorithms, in both directions.

A body is RecordIO, and each record one `aialgs.data.Record`: a map of `features` and a map of `label`,
each from a name to a tensor of float32, float64 or int32 with `values`, and with `keys` and `shape` where
it is sparse. Source: the SageMaker Developer Guide, cdf-inference, and record.proto there.

A request's row is the feature `values`, or the only one whatever its name; a value that a sparse row does
not name is 0, as for SageMaker's algorithms. Labels are passed over. In an answer, each record has one
label for each column, as those algorithms answer, under the column's own name.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from opt_ml.data.recordio import read_records, whole_records, write_record
from opt_ml.errors import RequestError, UserError
from opt_ml.serving.codecs.protobuf import (
    FIXED32,
    FIXED64,
    LENGTH,
    VARINT,
    field,
    pack_varints,
    read_fields,
    unpack_varints,
)
from opt_ml.serving.codecs.records import check_size, ragged
from opt_ml.serving.media import MediaType
from opt_ml.serving.table import Table

_VALUES = "values"
_FEATURES, _LABEL = 1, 2  # of Record
_KEY, _VALUE = 1, 2  # of an entry of a map
_TENSOR_VALUES, _TENSOR_KEYS, _TENSOR_SHAPE = 1, 2, 3
_FLOAT32, _FLOAT64, _INT32, _BYTES = 2, 3, 7, 9  # of Value
_INT32_LIMIT = 1 << 31


class _Row(NamedTuple):
    """One record's row: `columns` is None where it is dense, `width` where it does not say."""

    values: NDArray[np.float64]
    columns: NDArray[np.int64] | None
    width: int | None


def decode_records(body: bytes, media_type: MediaType) -> Table:
    """The rows of a recordio-protobuf body.

    Raises:
        RequestError: 400 for broken framing, a record that is not a Record or has no such tensor, or
            rows of different lengths, with the row; 413 for sparse rows far larger than the body.
    """
    rows = []
    for number, payload in enumerate(_payloads(body), start=1):
        try:
            rows.append(_row(payload))
        except ValueError as error:
            raise RequestError(
                400, f"Row {number} is not a recordio-protobuf record: {error}.", row=number
            ) from None
    if not rows:
        raise RequestError(400, "The recordio-protobuf body is empty. Send at least one record.")
    if any(row.columns is not None for row in rows):
        return _from_sparse(rows, len(body))
    width = len(rows[0].values)
    for number, row in enumerate(rows, start=1):
        if len(row.values) != width:
            raise ragged(number, len(row.values), width)
    return Table(np.concatenate([row.values for row in rows]).reshape(len(rows), width))


def encode_records(columns: Mapping[str, NDArray[Any]]) -> bytes:
    """One record a row, with one label a column: float32, float64, int32, or bytes for text.

    Args:
        columns: name to values of shape (n,).
    """
    names = [field(_KEY, name.encode()) for name in columns]
    values = [_encoder(column) for column in columns.values()]
    stream = io.BytesIO()
    for row in zip(*values, strict=True):
        entries = zip(names, row, strict=True)
        record = b"".join([field(_LABEL, name + field(_VALUE, value)) for name, value in entries])
        write_record(stream, record)
    return stream.getvalue()


def _payloads(body: bytes) -> Sequence[bytes]:
    whole = whole_records(body)
    if whole is not None:
        return whole
    try:
        return list(read_records(io.BytesIO(body), "The body"))
    except UserError as error:
        raise RequestError(
            400, str(error).replace("the channel's RecordWrapperType", "Content-Type")
        ) from None


def _row(payload: bytes) -> _Row:
    features = _features(payload)
    message = features.get(_VALUES) if len(features) != 1 else next(iter(features.values()))
    if message is None:
        names = ", ".join(map(repr, list(features)[:10])) or "none"
        raise ValueError(f"it has no feature 'values' (found: {names})")
    tensor = None
    for number, wire, content in read_fields(message):
        if number in _NUMBERS and wire == LENGTH:
            tensor = number, content  # the last one counts, as in every `oneof`
        elif number == _BYTES:
            raise ValueError("its feature holds bytes, not numbers")
    if tensor is None:
        raise ValueError("its feature has no tensor of float32, float64 or int32")
    return _tensor(*tensor)


def _features(payload: bytes) -> dict[str, bytes]:
    features = {}
    for number, wire, entry in read_fields(payload):
        if number == _FEATURES and wire == LENGTH:
            name, message = "", b""
            for part, kind, content in read_fields(entry):
                if part == _KEY and kind == LENGTH:
                    name = content[:1000].decode(errors="replace")
                elif part == _VALUE and kind == LENGTH:
                    message = content
            features[name] = message
    return features


def _tensor(number: int, message: bytes) -> _Row:
    own_wire, unpack = _NUMBERS[number]
    parts: dict[int, list[bytes]] = {_TENSOR_VALUES: [], _TENSOR_KEYS: [], _TENSOR_SHAPE: []}
    for name, wire, content in read_fields(message):
        if name in parts:
            if wire not in (LENGTH, own_wire if name == _TENSOR_VALUES else VARINT):
                raise ValueError(f"its tensor has a field of wire type {wire}")
            parts[name].append(content)
    values = unpack(b"".join(parts[_TENSOR_VALUES])).astype(np.float64)
    keys = unpack_varints(b"".join(parts[_TENSOR_KEYS]))
    shape = unpack_varints(b"".join(parts[_TENSOR_SHAPE])).tolist()
    if not len(keys) and len(values):
        return _Row(values, None, None)
    if len(keys) != len(values):
        raise ValueError(f"its tensor has {len(values)} values for {len(keys)} keys")
    if not shape and not len(keys):
        raise ValueError("its tensor is empty")
    width = shape[-1] if shape else None  # (columns,), or (1, columns)
    if keys.min(initial=0) < 0 or (width is not None and (width < 1 or keys.max(initial=0) >= width)):
        raise ValueError(f"its tensor has a key outside of its shape {tuple(shape[:5])}")
    return _Row(values, keys, width)


def _from_sparse(rows: Sequence[_Row], body_size: int) -> Table:
    columns = [np.arange(len(row.values)) if row.columns is None else row.columns for row in rows]
    width = max(row.width or int(found.max(initial=0)) + 1 for row, found in zip(rows, columns, strict=True))
    check_size(len(rows), width, body_size)
    table = np.zeros((len(rows), width))
    row_of = np.repeat(np.arange(len(rows)), [len(found) for found in columns])
    table[row_of, np.concatenate(columns)] = np.concatenate([row.values for row in rows])
    return Table(table)


def _unpack_int32(packed: bytes) -> NDArray[np.int32]:
    return unpack_varints(packed).astype(np.int32)


def _unpack_float(packed: bytes) -> NDArray[np.float32]:
    return np.frombuffer(packed, dtype="<f4")


def _unpack_double(packed: bytes) -> NDArray[np.float64]:
    return np.frombuffer(packed, dtype="<f8")


_NUMBERS: Mapping[int, tuple[int, Callable[[bytes], NDArray[Any]]]] = {
    _FLOAT32: (FIXED32, _unpack_float),
    _FLOAT64: (FIXED64, _unpack_double),
    _INT32: (VARINT, _unpack_int32),
}


def _encoder(column: NDArray[Any]) -> list[bytes]:
    """Each value of a column as a Value message."""
    kind = column.dtype.kind
    if kind in "biu" and len(column) and _fits_int32(column):
        return [_scalar(_INT32, pack_varints([number])) for number in column.astype(int).tolist()]
    if kind in "biuf":
        number, dtype = (_FLOAT32, "<f4") if kind == "f" and column.itemsize < 8 else (_FLOAT64, "<f8")
        size, data = int(dtype[-1]), column.astype(dtype).tobytes()
        return [_scalar(number, data[at : at + size]) for at in range(0, len(data), size)]
    texts = ["" if value is None else str(value) for value in column.tolist()]
    return [field(_BYTES, field(_TENSOR_VALUES, text.encode())) for text in texts]


def _fits_int32(column: NDArray[Any]) -> bool:
    return bool(column.min() >= -_INT32_LIMIT and column.max() < _INT32_LIMIT)


def _scalar(number: int, packed: bytes) -> bytes:
    return field(number, field(_TENSOR_VALUES, packed))
