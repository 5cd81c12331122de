"""Reads, filters and joins records of CSV and JSON (BATCH-17)."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from toolkit.transform.json_path import JsonPath, NotThereError

OUTPUT, INPUT = "SageMakerOutput", "SageMakerInput"


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
            return record.rstrip(b"\r\n") + b"," + result.rstrip(b"\r\n")
        return dump(_select(path, load(record, "csv") + load(result, "csv")), "csv")
    value, prediction = load(record, record_format), load(result, record_format)
    whole = {**value, OUTPUT: prediction} if isinstance(value, dict) else {INPUT: value, OUTPUT: prediction}
    return dump(_select(path, whole), record_format)


def load(record: bytes, record_format: str) -> Any:
    """A row as a list of texts, or a JSON value."""
    try:
        text = record.decode()
        if record_format == "csv":
            return next(csv.reader(io.StringIO(text)), [])
        return json.loads(text)
    except (ValueError, csv.Error) as error:
        name = "CSV" if record_format == "csv" else "JSON"
        raise ProcessingError(f"{record[:60]!r} is not {name}: {error}") from None


def dump(value: Any, record_format: str) -> bytes:
    """The reverse of `load`."""
    if record_format != "csv":
        return json.dumps(value, ensure_ascii=False).encode()
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(value if isinstance(value, list) else [value])
    return line.getvalue().encode()


def _select(path: JsonPath, value: Any) -> Any:
    try:
        return path.select(value)
    except NotThereError as error:
        raise ProcessingError(f"{path.text} does not fit a record: {error}") from None
