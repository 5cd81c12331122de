"""JSON and JSON Lines to a table.

`application/json` takes these shapes; `instances`, `inputs` or `data` may wrap any of them as the only
key of an object:

    [[1, 2], [3, 4]]                            rows in training order
    [1, 2]                                      one row
    [{"age": 1, "sex": "f"}, {"age": 2}]        records by name; an absent name is a missing field
    {"age": 1, "sex": "f"}                      one record
    {"age": [1, 2], "sex": ["f", "m"]}          columns by name
    {"columns": ["age"], "data": [[1], [2]]}    pandas' `to_json(orient="split")`
    [{"features": [1, 2]}, {"features": [3, 4]}]   rows, as SageMaker's own algorithms take them

JSON Lines takes a row, a record or `{"features": [...]}` a line; a bare value is a row of one field.
null, and NaN as Python's json module writes it, is missing; true is 1 and false is 0.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from opt_ml.errors import RequestError
from opt_ml.serving.codecs.records import MOST_OBJECTS, check_size, table_from_rows
from opt_ml.serving.media import MediaType
from opt_ml.serving.table import Table

_WRAPPERS = ("instances", "inputs", "data")
_FEATURES = "features"
_BOM = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"


def decode_json(body: bytes, media_type: MediaType) -> Table:
    """The records of a JSON body, in one of the shapes above.

    Raises:
        RequestError: 400 for text that is not JSON, another shape, or a field that is no scalar.
    """
    if not body.strip():
        raise RequestError(400, "The JSON body is empty. Send at least one record.")
    try:
        return _table(_loads(body))
    except ValueError as error:
        raise RequestError(400, f"The body is not valid JSON ({error}).") from None


def decode_deep_json(body: bytes) -> NDArray[Any] | None:
    """The array of a JSON body whose lists are nested three deep or more, such as pictures or sequences.

    Returns:
        numbers of shape (n, ..., m), or None for any other body: it is a table, or wrong.
    """
    if b"[[[" not in body.translate(None, _SPACE):
        return None
    try:
        content = _unwrapped(_loads(body))
        values = np.array(content) if isinstance(content, list) else np.empty(0)
    except (ValueError, OverflowError):
        return None
    return values if values.ndim > 2 and values.size and values.dtype.kind in "biuf" else None


def decode_json_lines(body: bytes, media_type: MediaType) -> Table:
    """The records of a JSON Lines body; empty lines are passed over.

    Raises:
        RequestError: 400 as in `decode_json`, with the line.
    """
    records = []
    for number, line in enumerate(body.split(b"\n"), start=1):
        if line.strip():
            try:
                records.append(_loads(line))
            except ValueError as error:
                raise RequestError(
                    400,
                    f"Line {number} is not valid JSON ({error}). Send one JSON value a line.",
                    line=number,
                ) from None
    if not records:
        raise RequestError(400, "The JSON Lines body is empty. Send at least one record.")
    return _from_list([value if isinstance(value, list | dict) else [value] for value in records])


def _loads(text: bytes) -> Any:
    text = text.removeprefix(_BOM)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if b"NaN" not in text and b"Infinity" not in text:
            raise ValueError(str(error)) from None
    try:
        # The only one of the two that reads NaN; an integer beyond float64 becomes infinite, not an error.
        return json.loads(text.decode(), parse_int=float)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _table(content: Any) -> Table:
    content = _unwrapped(content)
    if isinstance(content, dict):
        return _from_object(content)
    if isinstance(content, list):
        return _from_list(content)
    raise RequestError(400, f"The JSON body is one {type(content).__name__}. Send a list or an object.")


def _unwrapped(content: Any) -> Any:
    while isinstance(content, dict) and len(content) == 1:  # no recursion: a client chooses the depth
        [(name, inner)] = content.items()
        if name not in _WRAPPERS or not isinstance(inner, list | dict):
            break
        content = inner
    return content


def _from_object(content: dict[str, Any]) -> Table:
    if {"columns", "data"} <= content.keys() <= {"columns", "data", "index"}:
        return _from_split(content["columns"], content["data"])
    if content and all(isinstance(column, list) for column in content.values()) and _FEATURES not in content:
        return _from_columns(content)
    return _from_list([content])


def _from_list(content: list[Any]) -> Table:
    if content and isinstance(content[0], list):
        return _from_rows(content)
    if content and isinstance(content[0], dict):
        return _from_records(content)
    return table_from_rows([content] if content else [])


def _from_rows(rows: list[Any], names: tuple[str, ...] | None = None) -> Table:
    try:
        values = np.array(rows)
    except (ValueError, OverflowError):
        values = np.empty(0)
    if values.ndim == 2 and values.size and values.dtype.kind in "biuf" and _fits(values, names):
        return Table(values.astype(np.float64), names)
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, list):
            raise _mixed(number, "a list of fields", row)
    return table_from_rows(rows, names)


def _fits(values: np.ndarray[Any, Any], names: tuple[str, ...] | None) -> bool:
    return names is None or values.shape[1] == len(names)


def _from_records(records: list[Any]) -> Table:
    for number, record in enumerate(records, start=1):
        if not isinstance(record, dict):
            raise _mixed(number, "an object", record)
    if all(record.keys() == {_FEATURES} and isinstance(record[_FEATURES], list) for record in records):
        return _from_rows([record[_FEATURES] for record in records])
    names = tuple(dict.fromkeys(name for record in records for name in record))
    # Each may have a name of its own.
    check_size(len(records), len(names), sum(map(len, records)), MOST_OBJECTS)
    return table_from_rows([[record.get(name) for name in names] for record in records], names)


def _from_columns(columns: dict[str, list[Any]]) -> Table:
    length = len(next(iter(columns.values())))
    for name, column in columns.items():
        if len(column) != length:
            raise RequestError(
                400,
                f"Column {name!r} has {len(column)} values, but the first column has {length}. "
                "Send columns of the same length.",
                column=name,
            )
    return table_from_rows(list(zip(*columns.values(), strict=True)), tuple(columns))


def _from_split(columns: Any, rows: Any) -> Table:
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise RequestError(400, "`columns` must be a list of names.")
    if len(set(columns)) != len(columns):
        raise RequestError(400, "`columns` repeats a name. Name each column once.")
    if not isinstance(rows, list):
        raise RequestError(400, "`data` must be a list of rows.")
    return _from_rows(rows, tuple(columns))


def _mixed(number: int, expected: str, found: Any) -> RequestError:
    kind = (
        "an object" if isinstance(found, dict) else "a list" if isinstance(found, list) else "a single value"
    )
    return RequestError(
        400, f"Row {number} is {kind}, but the rows before are each {expected}. Send one shape.", row=number
    )
