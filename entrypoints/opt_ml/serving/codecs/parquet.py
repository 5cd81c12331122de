"""Parquet to a table, by a process of its own (`parquet_reader`).

The readers that fit into an image are quick but trust what a file says: a few damaged bytes end their
process or make it ask for all memory there is. Here that ends one reader and refuses one request.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from importlib.util import find_spec
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from opt_ml.errors import RequestError
from opt_ml.serving.codecs.records import table_from_rows
from opt_ml.serving.media import MediaType
from opt_ml.serving.table import Table
from opt_ml.serving.workers import frames


def decode_parquet(body: bytes, media_type: MediaType) -> Table:
    """The rows of a Parquet file, with its column names.

    Raises:
        RequestError: 415 where the image holds no Parquet reader; 400 for a file that cannot be read,
            or a column that holds neither numbers nor text; 413 for far more fields than bytes, or
            more than fits in memory.
    """
    if find_spec("fastparquet") is None:
        raise RequestError(415, "This image cannot read Parquet: it has no fastparquet. Send text/csv.")
    header, content = _READER.ask(body)
    if "error" in header:
        status, message, details = header["error"]
        raise RequestError(status, message, **details)
    names = tuple(header["names"])
    columns = [
        _column(*facts) for facts in zip(header["kinds"], frames.cut(content, header["lengths"]), strict=True)
    ]
    if header["rows"] and columns and all(isinstance(column, np.ndarray) for column in columns):
        return Table(np.column_stack(columns), names)
    rows = zip(*(column if isinstance(column, list) else column.tolist() for column in columns), strict=True)
    return table_from_rows(list(rows), names)


def _column(kind: str, content: bytes) -> NDArray[np.float64] | list[Any]:
    return np.frombuffer(content) if kind == "numbers" else list(orjson.loads(content))


# Seconds for the reader, which a damaged file may send in circles. A sound one takes a hundredth of it.
_PATIENCE = 10.0
_PATIENCE_PER_BYTE = 1e-6


class _Reader:
    """The reading process of this one, started when it is first needed and after it has died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._lock = threading.Lock()  # a handler may decode in threads

    def ask(self, body: bytes) -> frames.Frame:
        """Its answer to one file."""
        with self._lock:
            connection = self._connection or self._start()
            try:
                connection.settimeout(_PATIENCE + _PATIENCE_PER_BYTE * len(body))
                frames.send(connection, {}, body)
                answer = frames.FrameReader(connection).next()
            except (OSError, frames.FrameError) as error:
                raise self._ended(isinstance(error, TimeoutError)) from None
            if answer is None:
                raise self._ended(is_endless=False)
            return answer

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "opt_ml.serving.codecs.parquet_reader"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,  # the library writes a line for each byte that it trips over
                stderr=subprocess.DEVNULL,
            )
        self._connection = ours
        return ours

    def _ended(self, is_endless: bool) -> RequestError:
        """Forget the process; what to say of it."""
        process, connection = self._process, self._connection
        self._process = self._connection = None
        if process is None or connection is None:
            raise AssertionError("nothing was asked of it")
        connection.close()
        if is_endless:
            process.kill()
        code = process.wait()
        if is_endless:
            how = "did not come to an end"
        elif code == -signal.SIGKILL:
            return RequestError(413, "The Parquet file takes more memory than there is. Send fewer rows.")
        else:
            how = f"ended with {signal.Signals(-code).name if code < 0 else f'code {code}'}"
        return RequestError(400, f"The body is not a readable Parquet file: its reader {how}.")


_READER = _Reader()
