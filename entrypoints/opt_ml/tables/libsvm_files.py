"""LIBSVM text, which jobs written for XGBoost bring: `label index:value index:value ...`."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd

from opt_ml.environment import Channel
from opt_ml.errors import UserError
from opt_ml.tables.csv_files import Lines
from opt_ml.tables.text import shown

MOST_COLUMNS = 10_000
_TYPES = ("text/libsvm", "text/x-libsvm")
_SUFFIXES = (".libsvm", ".svm", ".svmlight")
_NUMBER = rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_ROW = re.compile(rb"\s*" + _NUMBER + rb"(?:\s+qid:\d+)?(?:\s+\d+:" + _NUMBER + rb")*\s*(?:#.*)?")


def is_libsvm(channel: Channel, path: Path) -> bool:
    """True where the channel's content type or the file's name says so; its bytes look like odd CSV."""
    said = (channel.content_type or "").partition(";")[0].strip().lower()
    return said in _TYPES or path.suffix.lower() in _SUFFIXES


def read_libsvm(content: bytes, path: Path) -> tuple[pd.DataFrame, Lines]:
    """All rows of a file as a table: `label`, then `column_<index>`; what a row does not name is missing.

    As in XGBoost an index is taken as it stands, whether the file counts from 0 or from 1.

    Raises:
        UserError: a line that is not LIBSVM, with its number, more columns than a table should have, or an
            image without scikit-learn.
    """
    try:
        from sklearn.datasets import load_svmlight_file  # which not every image has
    except ModuleNotFoundError:
        raise UserError(
            f"{shown(path)} is LIBSVM, and this image lacks scikit-learn to read it. Bring CSV or Parquet."
        ) from None
    try:
        matrix, label = load_svmlight_file(io.BytesIO(content), dtype=np.float64, zero_based=True)
    except (ValueError, OverflowError, UnicodeDecodeError) as error:
        raise _refused(content, path, error) from None
    if matrix.shape[1] > MOST_COLUMNS:
        raise UserError(
            f"{shown(path)} has an index of {matrix.shape[1] - 1}, but a table is held in full, with "
            f"at most {MOST_COLUMNS} columns. Number the columns without large gaps, or choose fewer."
        )
    table = np.full(matrix.shape, np.nan)
    row_of = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    table[row_of, matrix.indices] = matrix.data
    frame = pd.DataFrame(table, columns=[f"column_{i}" for i in range(matrix.shape[1])])
    frame.insert(0, "label", label)
    lines = Lines()
    is_row = [bool(line.partition(b"#")[0].strip()) for line in content.splitlines()]
    lines.add(len(frame), np.flatnonzero(is_row) + 1)
    return frame, lines


def _refused(content: bytes, path: Path, error: Exception) -> UserError:
    for number, line in enumerate(content.splitlines(), start=1):
        if line.partition(b"#")[0].strip() and not _ROW.fullmatch(line):
            text = line.decode("utf-8", errors="replace")[:60]
            return UserError(
                f"{shown(path)} line {number} is not LIBSVM: {text!r}. Write `label index:value index:value`"
                ", or set the channel's content type to text/csv."
            )
    return UserError(f"{shown(path)} is not LIBSVM: {error}.")
