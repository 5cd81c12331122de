"""Encoders of categories as tables, and scikit-learn's transformers of columns, without data frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import ndtri
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import FunctionTransformer, QuantileTransformer, StandardScaler

from opt_ml_autogluon.tabular.compiled.layout import Layout, Matrix, Unsupported

Step = Callable[[Matrix], Matrix]
"""Shape (rows, features) to (rows, columns)."""

_MOST_CELLS = 20_000_000  # of an encoder's answers to each of its categories
_PAD = 1e-7  # scikit-learn's: values so near to an end count as the end


class CategoryTables:
    """What an encoder makes of categories, by table: for each category its part of the columns.

    Encoders look at one column at a time. So what they make of a row is what they make of the first category
    everywhere, plus for each column what its own category changes of that. They say it themselves: they are
    asked once for each category, and for a missing one.

    Args:
        encode: a data frame of categories to a matrix, dense or sparse.
        layout: of the categories alone.
    """

    def __init__(self, encode: Callable[[pd.DataFrame], Any], layout: Layout) -> None:
        sizes = [feature.categories or 0 for feature in layout.features]
        first = np.zeros((1, len(sizes)))
        self._base = _dense(encode(layout.frame(first)))[0]
        if sum(size + 1 for size in sizes) * len(self._base) > _MOST_CELLS:
            raise Unsupported("its encoder makes too many columns of categories")
        self._tables: list[tuple[NDArray[np.int64], Matrix]] = []
        for place, size in enumerate(sizes):
            asked = np.repeat(first, size + 1, axis=0)
            asked[:, place] = [*range(size), np.nan]
            changes = _dense(encode(layout.frame(asked))) - self._base
            changed = np.flatnonzero(changes.any(axis=0))
            self._tables.append((changed, changes[:, changed]))

    def __call__(self, matrix: Matrix) -> Matrix:
        """The columns for some rows."""
        made = np.repeat(self._base[None], len(matrix), axis=0)
        for column, (changed, table) in zip(matrix.T, self._tables, strict=True):
            codes = np.where(np.isnan(column), len(table) - 1, column).astype(np.int64)
            made[:, changed] += table[codes]
        return made


def _dense(made: Any) -> Matrix:
    return np.asarray(made.toarray() if sparse.issparse(made) else made, dtype=np.float64)


def column_transformer(fitted: ColumnTransformer, layout: Layout) -> Step:
    """What a fitted transformer of columns does, in the order of its columns.

    Raises:
        Unsupported: a part of it is not known.
    """
    parts: list[tuple[list[int], Step]] = []
    for name, transformer, columns in fitted.transformers_:
        if len(columns) == 0 or transformer == "drop":
            continue
        names = [fitted.feature_names_in_[one] if isinstance(one, int) else one for one in columns]
        places = layout.places([str(one) for one in names])
        parts.append((places, _transformer(name, transformer, layout.part(places))))

    def step(matrix: Matrix) -> Matrix:
        return np.hstack([part(matrix[:, places]) for places, part in parts])

    return step


def _transformer(name: str, transformer: Any, layout: Layout) -> Step:
    if len(layout.category_places) == len(layout.features):
        return CategoryTables(transformer.transform, layout)
    if layout.category_places:
        raise Unsupported(f"its transformer {name!r} takes numbers and categories")
    if transformer == "passthrough" or type(transformer) is FunctionTransformer:
        if getattr(transformer, "func", None) is not None:
            raise Unsupported(f"its transformer {name!r} is a function")
        return lambda matrix: matrix
    return _chain([_number_step(one) for _, one in transformer.steps])


def _chain(steps: Sequence[Step]) -> Step:
    def step(matrix: Matrix) -> Matrix:
        for one in steps:
            matrix = one(matrix)
        return matrix

    return step


def _number_step(fitted: Any) -> Step:
    if type(fitted) is SimpleImputer:
        return _imputer(fitted)
    if type(fitted) is StandardScaler:
        return lambda matrix: (matrix - fitted.mean_) / fitted.scale_
    if type(fitted) is QuantileTransformer and fitted.output_distribution == "normal":
        return _quantiles(fitted)
    raise Unsupported(f"its {type(fitted).__name__} is not known")


def _imputer(fitted: SimpleImputer) -> Step:
    if np.isnan(fitted.statistics_).any() or fitted.add_indicator:
        raise Unsupported("its imputer leaves columns out")
    return lambda matrix: np.where(np.isnan(matrix), fitted.statistics_, matrix)


def _quantiles(fitted: QuantileTransformer) -> Step:
    """Of each column the normal quantile of its place among those of the training.

    Equal quantiles are taken from both sides, and the ends are clipped, as scikit-learn does.
    """
    references, rows = fitted.references_, [np.ascontiguousarray(one) for one in fitted.quantiles_.T]
    turned = [np.ascontiguousarray(-one[::-1]) for one in rows]
    back = -references[::-1]
    lowest = ndtri(_PAD - np.spacing(1))
    highest = ndtri(1 - (_PAD - np.spacing(1)))

    def step(matrix: Matrix) -> Matrix:
        made = np.empty_like(matrix)
        for place, (up, down) in enumerate(zip(rows, turned, strict=True)):
            column = matrix[:, place]
            found = 0.5 * (np.interp(column, up, references) - np.interp(-column, down, back))
            found[column + _PAD > up[-1]] = 1
            found[column - _PAD < up[0]] = 0
            made[:, place] = found
        clipped: Matrix = np.clip(ndtri(made), lowest, highest)
        return clipped

    return step
