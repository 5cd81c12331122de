"""The process that reads Parquet for a worker, over the socket that is its standard input; see `parquet`.

It speaks `frames`: a file comes as a body; its columns go back as `names`, `rows`, `kinds` and `lengths`
of the bodies, each of float64 (`numbers`) or a JSON list (`values`), or else `error` as a RequestError.
"""

from __future__ import annotations

import io
import resource
import socket
import sys
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from opt_ml.errors import RequestError
from opt_ml.serving.codecs.records import MOST_OBJECTS, check_size
from opt_ml.serving.workers import frames

_MEMORY = 3 << 30
"""Bytes of address space for one file: packed data may say less of its size than it turns out to take."""


def main() -> int:
    """Read until the worker closes the socket; returns the exit code."""
    with socket.socket(fileno=sys.stdin.fileno()) as connection:
        reader = frames.FrameReader(connection)
        while (frame := reader.next()) is not None:
            try:
                header, parts = _read(frame[1])
            except RequestError as error:
                header, parts = {"error": [error.status, error.message, error.details]}, []
            frames.send(connection, header, b"".join(parts))
    return 0


def _read(body: bytes) -> tuple[dict[str, Any], list[bytes]]:
    import fastparquet  # half a second, for which the worker waits once

    limit = _MEMORY + 16 * len(body)
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    try:
        file = fastparquet.ParquetFile(io.BytesIO(body))
        check_size(file.count(), len(file.columns), len(body))  # a run of equal values takes a few bytes
        frame = file.to_pandas(index=False)
        others = sum(dtype.kind not in "biuf" for dtype in frame.dtypes)
        check_size(len(frame), others, len(body), MOST_OBJECTS)
    except RequestError:
        raise
    except MemoryError:
        raise RequestError(413, "The Parquet file takes too much memory. Send fewer rows.") from None
    except Exception as error:  # the reader raises whatever a broken file trips over
        cause = " ".join(str(error).split())[:200] or type(error).__name__
        raise RequestError(400, f"The body is not a readable Parquet file ({cause}).") from None
    names = [str(name) for name in frame.columns]
    columns = [_column(name, frame.iloc[:, index]) for index, name in enumerate(names)]
    parts = [orjson.dumps(column) if isinstance(column, list) else column.tobytes() for column in columns]
    kinds = ["values" if isinstance(column, list) else "numbers" for column in columns]
    return {
        "names": names,
        "rows": len(frame),
        "kinds": kinds,
        "lengths": [len(part) for part in parts],
    }, parts


def _column(name: str, series: Any) -> NDArray[np.float64] | list[Any]:
    """The values of one column: float64 with NaN, or texts, numbers and None."""
    if series.dtype.kind in "biuf":
        return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
    values = [None if value is None or value != value else value for value in series.astype(object)]
    if not all(value is None or isinstance(value, str | int | float) for value in values):
        raise RequestError(400, f"Column {name!r} holds {series.dtype}. Send numbers or text.", column=name)
    return values


if __name__ == "__main__":
    sys.exit(main())
