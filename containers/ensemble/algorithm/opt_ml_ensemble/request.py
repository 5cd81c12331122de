"""A request's table against the columns of the training: the matrix that the models take, or a 400."""

from __future__ import annotations

import numpy as np
from opt_ml.serving.table import Table
from opt_ml.tables.request import numbers
from opt_ml.tables.text import category

from opt_ml_ensemble.schema import Matrix, Schema, category_codes, finite_float32


def request_matrix(table: Table, schema: Schema) -> Matrix:
    """Shape (rows, used columns), as the models were trained.

    Which column is which: see `opt_ml.tables.request`. A category that training never saw counts as missing.

    Raises:
        RequestError: 400 for a missing feature, a wrong number of columns, or text in a column of
            numbers, with row and column.
    """
    table, positions = schema.expected.match(table)
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
            matrix[:, column] = finite_float32(numbers(values, feature.name, position))
        else:
            matrix[:, column] = finite_float32(values)
    return matrix
