"""Reads, filters and joins records of CSV and JSON (BATCH-17)."""

from __future__ import annotations

import csv
import io
import json
import sys
from typing import Any

from toolkit.transform.json_path import JsonPath, NotThereError

OUTPUT, INPUT = "SageMakerOutput", "SageMakerInput"

_SHOWN = 60  # characters of a record in an error

csv.field_size_limit(sys.maxsize)  # the payload limit holds, not that of the csv module (131072 characters)


class ProcessingError(Exception):
    """A record or a result cannot be read, filtered or joined."""


def filtered(record: bytes, path: JsonPath, record_format: str) -> bytes:
    """What of a record is kept, in the same format, without a newline at its end.

    Raises:
        ProcessingError: it is not of the format, or has not what the path names.
    """
    if path.is_root:
        return record
    return dump(_select(path, load(record, record_format)), record_format)


def joined(record: bytes, result: bytes, path: JsonPath, record_format: str) -> bytes:
    """A record with its prediction, of which `path` keeps a part.

    CSV: the columns of the prediction behind those of the record. JSON: an object gets the member
    SageMakerOutput; anything else becomes SageMakerInput of a new object.

    Raises:
        ProcessingError: as `filtered`.
    """
    if record_format == "csv":
        if path.is_root:
            if record.count(b'"') % 2:
                raise _open_quote(record)
            return record.rstrip(b"\r\n") + b"," + result.rstrip(b"\r\n")
        return dump(_select(path, load(record, "csv") + load(result, "csv")), "csv")
    value, prediction = load(record, record_format), load(result, record_format)
    whole = {**value, OUTPUT: prediction} if isinstance(value, dict) else {INPUT: value, OUTPUT: prediction}
    return dump(_select(path, whole), record_format)


def load(record: bytes, record_format: str) -> Any:
    """A row as a list of texts, or a JSON value.

    Raises:
        ProcessingError: it is not of the format.
    """
    name = "CSV" if record_format == "csv" else "JSON"
    try:
        text = record.decode()
        if record_format != "csv":
            return json.loads(text)
        if text.count('"') % 2:
            raise _open_quote(record)
        return next(csv.reader(io.StringIO(text, newline="")), [])
    except (ValueError, csv.Error) as error:
        raise ProcessingError(f"{_shown(record)} is not {name}: {error}") from None
    except RecursionError:
        raise ProcessingError(f"{_shown(record)} is nested too deeply to be JSON for this program") from None


def dump(value: Any, record_format: str) -> bytes:
    """The reverse of `load`.

    Raises:
        ProcessingError: a value of JSON is nested too deeply.
    """
    if record_format != "csv":
        try:
            # Half a surrogate pair, which JSON allows as an escape, cannot be UTF-8: it stays an escape.
            return json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace")
        except RecursionError:  # a join is one level deeper than what it joins
            raise ProcessingError("a joined record is nested too deeply for this program") from None
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(value if isinstance(value, list) else [value])
    return line.getvalue().encode()


def _select(path: JsonPath, value: Any) -> Any:
    try:
        return path.select(value)
    except NotThereError as error:
        raise ProcessingError(f"{path.text} does not fit a record: {error}") from None


def _open_quote(record: bytes) -> ProcessingError:
    return ProcessingError(
        f"{_shown(record)} ends within quotes. Batch transform takes each line for a record: a field of a "
        "CSV file cannot have a line break"
    )


def _shown(record: bytes) -> str:
    text = record.decode(errors="replace")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
