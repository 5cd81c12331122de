"""LIBSVM text to a table, as requests for XGBoost bring it: `label index:value index:value ...` a line.

An index is the position of its column, counted from 0, as XGBoost takes it and as the training files of
this toolkit's images are read: what was trained on files that count from 1 is asked in the same way. The
label may be left out, and is passed over; so are `qid:` and comments. A column that a row does not name
is missing there.
"""

from __future__ import annotations

import numpy as np

from opt_ml.errors import RequestError
from opt_ml.serving.codecs.records import check_size
from opt_ml.serving.media import MediaType
from opt_ml.serving.table import Table

_MOST_COLUMNS = 1 << 25


def decode_libsvm(body: bytes, media_type: MediaType) -> Table:
    """The rows of a LIBSVM body; the table is open-ended, because rows end at their last value.

    Raises:
        RequestError: 400 for a line that is not LIBSVM, with its number, or no line at all; 413 for
            indices that would make the table far larger than the body.
    """
    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    count = 0
    for number, line in enumerate(body.split(b"\n"), start=1):
        fields = line.partition(b"#")[0].split()
        if not fields:
            continue
        try:
            pairs = _pairs(fields)
            columns += [_index(index) for index, _ in pairs]
            values += [_number(value) for _, value in pairs]
        except ValueError:
            raise _refused(number, line) from None
        rows += [count] * len(pairs)
        count += 1
    if not count:
        raise RequestError(400, "The LIBSVM body is empty. Send at least one record.")
    width = max(columns, default=0) + 1
    check_size(count, width, len(body))
    table = np.full((count, width), np.nan)
    table[rows, columns] = values
    return Table(table, is_open_ended=True)


def _pairs(fields: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Index and value of each field of one line.

    Raises:
        ValueError: a field that is not `index:value`, the label aside.
    """
    if b":" not in fields[0]:
        _number(fields[0])
        del fields[0]
    pairs = [field.split(b":") for field in fields]
    if pairs and pairs[0][0] == b"qid":
        del pairs[0]
    return [(index, value) for index, value in pairs]


def _index(text: bytes) -> int:
    if not text.isdigit() or len(text) > len(str(_MOST_COLUMNS)):
        raise ValueError(text)
    return int(text)


def _number(text: bytes) -> float:
    if b"_" in text:  # float() takes 1_000, which no writer of LIBSVM means
        raise ValueError(text)
    return float(text)


def _refused(number: int, line: bytes) -> RequestError:
    text = line.decode("utf-8", errors="replace").strip()[:60]
    return RequestError(
        400,
        f"Line {number} is not LIBSVM: {text!r}. Write `label index:value index:value`, where an index is a "
        "whole number from 0.",
        line=number,
    )
