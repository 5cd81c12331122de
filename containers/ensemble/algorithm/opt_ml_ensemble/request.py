"""A request's table against the columns of the training: the matrix that the models take, or a 400."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from opt_ml.errors import RequestError
from opt_ml.nearest import nearest
from opt_ml.serving.codecs import promote_header
from opt_ml.serving.table import Table
from opt_ml.tables.text import category, number

from opt_ml_ensemble.schema import Feature, Matrix, Schema, category_codes, finite_float32


def request_matrix(table: Table, schema: Schema) -> Matrix:
    """Shape (rows, used columns), as the models were trained.

    Named columns come in any order; others than the features (the label, an id) are passed over.
    Columns without names come in training order, those that training did not use included; in an
    open-ended table the last ones may be absent. A category that training never saw counts as missing.

    Raises:
        RequestError: 400 for a missing feature, a wrong number of columns, or text in a column of
            numbers, with row and column.
    """
    for names in _headers(schema):
        table = promote_header(table, names)
    table = table.widened(len(schema.features))
    positions = _positions(table, schema)
    if table.values.dtype != object and not schema.categorical:
        # The hot path: one copy, no loop over fields.
        if positions == list(range(table.values.shape[1])):
            return finite_float32(table.values)
        return finite_float32(table.values[:, positions])
    matrix = np.empty((len(table), len(positions)), dtype=np.float32)
    for column, (position, feature) in enumerate(zip(positions, schema.used, strict=True)):
        values = table.values[:, position]
        if feature.kind == "category":
            matrix[:, column] = category_codes([category(value) for value in values], feature.categories)
        elif values.dtype == object:
            matrix[:, column] = finite_float32(_numbers(values, feature, position))
        else:
            matrix[:, column] = finite_float32(values)
    return matrix


def _headers(schema: Schema) -> Iterator[list[str]]:
    """The first lines that count as a header: the features, those in use, or the whole training file."""
    every = [feature.name for feature in schema.features]
    yield every
    if len(schema.used) < len(every):
        yield [feature.name for feature in schema.used]
    yield [*every, schema.label]
    if schema.weight:
        yield [*every, schema.label, schema.weight]


def _positions(table: Table, schema: Schema) -> list[int]:
    """For each used feature the position of its column in the table."""
    width = table.values.shape[1]
    names = table.names
    if names is not None and (schema.named or set(names) & {feature.name for feature in schema.features}):
        at = {name: position for position, name in enumerate(names)}
        for feature in schema.used:
            if feature.name not in at:
                unclaimed = [name for name in names if name not in {one.name for one in schema.features}]
                raise _missing_feature(feature.name, unclaimed)
        return [at[feature.name] for feature in schema.used]
    if width != len(schema.features):
        raise _wrong_width(table, schema)
    return [position for position, feature in enumerate(schema.features) if feature.kind != "unused"]


def _missing_feature(name: str, unclaimed: Sequence[str]) -> RequestError:
    """`unclaimed`: the names in the request that are no feature's own."""
    hint = nearest(name, unclaimed)
    return RequestError(
        400,
        f"The request has no column {name!r}, which the model needs.{hint} Send it, or null where unknown.",
        column=name,
    )


def _wrong_width(table: Table, schema: Schema) -> RequestError:
    width, expected = table.values.shape[1], len(schema.features)
    shown = ", ".join(feature.name for feature in schema.features[:20]) + (", ..." if expected > 20 else "")
    hint = f" Leave the label {schema.label!r} out." if width == expected + 1 else ""
    if width == 1 and any(separator in str(table.values[0, 0]) for separator in ";\t|"):
        hint = " Separate the fields of a request by commas."
    return RequestError(
        400,
        f"The request has {width} column{'s' * (width != 1)}, but the model expects {expected}: "
        f"{shown}.{hint}",
        expected=expected,
        got=width,
    )


def _numbers(values: NDArray[np.object_], feature: Feature, position: int) -> NDArray[np.float64]:
    numbers = np.empty(len(values))
    for row, value in enumerate(values):
        found = number(value)
        if found is None:
            raise RequestError(
                400,
                f"Row {row + 1}, column {position + 1} ({feature.name!r}) holds {str(value)[:100]!r}, but "
                "the model was trained on numbers there. Send a number, or nothing where it is unknown.",
                row=row + 1,
                column=position + 1,
            )
        numbers[row] = found
    return numbers
