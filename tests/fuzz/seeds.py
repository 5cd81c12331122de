"""Sound bodies of every media type, which the fuzz tests damage."""

from __future__ import annotations

import importlib.util
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from opt_ml.data import write_record
from opt_ml.serving.codecs.protobuf import field, pack_varints

COLUMNS = 4


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _npz(save: Callable[..., None] = np.savez, **arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    save(stream, **arrays)
    return stream.getvalue()


def framed(*records: bytes) -> bytes:
    """RecordIO of these payloads."""
    stream = io.BytesIO()
    for record in records:
        write_record(stream, record)
    return stream.getvalue()


def _record(number: int, values: bytes, keys: list[int] | None = None) -> bytes:
    tensor = field(1, values)
    if keys is not None:
        tensor += field(2, pack_varints(keys)) + field(3, pack_varints([COLUMNS]))
    return field(1, field(1, b"values") + field(2, field(number, tensor)))


def _parquet() -> list[bytes]:
    if importlib.util.find_spec("fastparquet") is None:
        return [b"PAR1" + bytes(20) + b"PAR1"]
    import fastparquet
    import pandas as pd

    files = []
    numbers = pd.DataFrame({f"column_{n}": np.arange(3.0) + n for n in range(COLUMNS)})
    for frame in (numbers, numbers.assign(column_3=["x", None, "y"])):
        for compression in ("UNCOMPRESSED", "GZIP", "SNAPPY"):
            with tempfile.TemporaryDirectory() as directory:
                path = Path(directory) / "t.parquet"
                fastparquet.write(str(path), frame, compression=compression)
                files.append(path.read_bytes())
    return files


_ROW = [1.5, -2, 3e5, 0]
_CSR = {"indices": np.array([1, 0]), "indptr": np.array([0, 1, 2]), "format": np.array(b"csr")}
_CSR |= {"shape": np.array([2, COLUMNS]), "data": np.array([2.5, 1])}
_NAMED = {f"column_{number}": value for number, value in enumerate(_ROW)}

SEEDS: dict[str, list[bytes]] = {
    "text/csv": [
        b"1.5,-2,3e5,0\n",
        b"1,2,3,4\n5,,nan,8\r\n",
        b'column_0,column_1,"column_2",column_3\n1,2,"3",x\n',
    ],
    "application/json": [
        json.dumps(content).encode()
        for content in (
            [_ROW, _ROW],
            _ROW,
            {"instances": [_ROW]},
            {"instances": [{"features": _ROW}]},
            [_NAMED, _NAMED],
            {name: [value, None] for name, value in _NAMED.items()},
            {"columns": list(_NAMED), "data": [_ROW], "index": [0]},
            [[[[1, 2], [3, 4]]]],
        )
    ],
    "application/jsonlines": [
        b"[1.5, -2, 3, 0]\n[1, null, NaN, 4]\n",
        json.dumps(_NAMED).encode() + b"\n\n{}\n",
        b"1\n2\n",
    ],
    "application/x-npy": [
        _npy(np.array([_ROW])),
        _npy(np.asfortranarray(np.ones((2, COLUMNS), dtype=">i2"))),
        _npy(np.array([["a", "b", "1", ""]])),
        _npy(np.array([(1, 2.0)], dtype=[("column_0", "i4"), ("column_1", "f8")])),
    ],
    "application/x-npz": [
        _npz(a=np.array([_ROW])),
        _npz(np.savez_compressed, column_0=np.ones(2), column_1=np.array(["a", "b"])),
        _npz(np.savez_compressed, **_CSR),
    ],
    "application/x-parquet": _parquet(),
    "text/libsvm": [b"1 0:1.5 1:-2 2:3e5\n0 3:1\n", b"0:1 # note\n\n1 qid:3 2:nan\n"],
    "application/x-recordio-protobuf": [
        framed(_record(2, np.array(_ROW, dtype="<f4").tobytes())),
        framed(_record(3, np.array([1.0]).tobytes(), [2]), _record(7, pack_varints([1, -1, 300, 0]))),
    ],
    "image/png": [b"\x89PNG\r\n\x1a\n" + bytes(30)],
}
