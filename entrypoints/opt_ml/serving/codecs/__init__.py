"""Requests to tables and predictions to bodies: the media types that a tabular handler speaks.

| media type | request | answer |
|---|---|---|
| `text/csv` | RFC 4180; see `csv_text` for the parameters | one line a record |
| `application/json` | see `json_text` | `{"predictions": [...]}` |
| `application/jsonlines`, `application/jsonl`, `application/x-jsonlines` | one record a line | one a line |
| `application/x-npy` | shape (rows, columns), or (columns,) for one record | shape (n,) or (n, k) |
| `application/x-npz` | one such array, columns by name, or a SciPy sparse matrix; see `npz` | - |
| `application/x-parquet`, `application/vnd.apache.parquet` | one file | - |
| `text/libsvm`, `text/x-libsvm` | indices from 0; see `libsvm_text` | - |
| `application/x-recordio-protobuf` | see `record_protobuf` | one label a column |

A request without a type, or with `application/octet-stream`, is told by its first bytes (HOST-57).
Nothing here ever unpickles a request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opt_ml.errors import RequestError
from opt_ml.serving.codecs.csv_text import decode_csv, promote_header
from opt_ml.serving.codecs.encoding import ENCODABLE, encode_columns
from opt_ml.serving.codecs.json_text import decode_json, decode_json_lines
from opt_ml.serving.codecs.libsvm_text import decode_libsvm
from opt_ml.serving.codecs.npy import decode_npy
from opt_ml.serving.codecs.npz import decode_npz
from opt_ml.serving.codecs.parquet import decode_parquet
from opt_ml.serving.codecs.record_protobuf import decode_records
from opt_ml.serving.media import (
    CSV,
    JSON,
    JSON_LINES,
    LIBSVM,
    NPY,
    NPZ,
    OCTET_STREAM,
    PARQUET,
    RECORDIO_PROTOBUF,
    MediaType,
    choose_accept,
    parse_media_type,
)
from opt_ml.serving.table import Table

__all__ = [
    "DECODABLE",
    "ENCODABLE",
    "MediaType",
    "choose_accept",
    "decode_table",
    "encode_columns",
    "media_type_of",
    "parse_media_type",
    "promote_header",
]

_DECODERS: Mapping[str, Callable[[bytes, MediaType], Table]] = {
    CSV: decode_csv,
    JSON: decode_json,
    **dict.fromkeys(JSON_LINES, decode_json_lines),
    NPY: decode_npy,
    NPZ: decode_npz,
    **dict.fromkeys(PARQUET, decode_parquet),
    **dict.fromkeys(LIBSVM, decode_libsvm),
    RECORDIO_PROTOBUF: decode_records,
}

DECODABLE = tuple(_DECODERS)
"""The media types that `decode_table` reads."""


def decode_table(body: bytes, content_type: str) -> Table:
    """The records of one request body.

    Args:
        body: the whole body, without transfer coding.
        content_type: the Content-Type header as it came; empty where there was none.

    Raises:
        RequestError: 415 for a type that is not in `DECODABLE`; 400 for a body that does not hold what
            the type promises, with `row` and `column` (counted from 1) where they are known; 413 for
            one that stands for far more fields than it has bytes.
    """
    media_type = media_type_of(body, content_type)
    decode = _DECODERS.get(media_type.type)
    if decode is None:
        raise RequestError(
            415,
            f"Content-Type {media_type.type!r} is not supported. Send one of: {', '.join(DECODABLE)}.",
            supported=list(DECODABLE),
        )
    return decode(body, media_type)


def media_type_of(body: bytes, content_type: str) -> MediaType:
    """What a body is, by its Content-Type, or where that does not say by its first bytes (HOST-57).

    Raises:
        RequestError: 415 for a Content-Type that is none.
    """
    media_type = parse_media_type(content_type) if content_type else MediaType(OCTET_STREAM, {})
    if media_type.type == OCTET_STREAM:
        media_type = MediaType(_sniff(body), media_type.parameters)
    return media_type


_MAGIC = {b"\x93NUMPY": NPY, b"PK\x03\x04": NPZ, b"PAR1": PARQUET[0], b"\x0a\x23\xd7\xce": RECORDIO_PROTOBUF}


def _sniff(body: bytes) -> str:
    for magic, name in _MAGIC.items():
        if body.startswith(magic):
            return name
    return JSON if body.lstrip()[:1] in (b"[", b"{") else CSV
