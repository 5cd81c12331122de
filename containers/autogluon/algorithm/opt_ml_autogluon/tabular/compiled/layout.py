"""The matrix that models predict from, and the data frame that AutoGluon has in its place.

A matrix has shape (rows, features) and float64; a missing value is NaN. A category is its code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


class Unsupported(Exception):  # noqa: N818 - a finding, not a failure
    """Something of the predictor that cannot be compiled; the text says what."""


@dataclass(frozen=True)
class Feature:
    """One column of a matrix.

    Attributes:
        categories: how many there are, for a category; else None.
        dtype: of the column in AutoGluon's data frame, for a number.
    """

    name: str
    categories: int | None = None
    dtype: str = "float64"


@dataclass(frozen=True)
class Layout:
    """The columns of a matrix, in order."""

    features: tuple[Feature, ...]

    def places(self, names: Sequence[str]) -> list[int]:
        """Where the columns of these names are.

        Raises:
            Unsupported: one of them is not there.
        """
        at = {feature.name: place for place, feature in enumerate(self.features)}
        missing = [name for name in names if name not in at]
        if missing:
            raise Unsupported(f"it wants a column {missing[0]!r} that the features lack")
        return [at[name] for name in names]

    def part(self, places: Sequence[int]) -> Layout:
        """Some of the columns."""
        return Layout(tuple(self.features[place] for place in places))

    @property
    def category_places(self) -> list[int]:
        """Where the categories are."""
        return [place for place, feature in enumerate(self.features) if feature.categories is not None]

    def frame(self, matrix: Matrix) -> pd.DataFrame:
        """The rows as AutoGluon's feature generators give them to models."""
        made = {}
        for feature, column in zip(self.features, matrix.T, strict=True):
            if feature.categories is None:
                made[feature.name] = column.astype(feature.dtype)
                continue
            codes = np.where(np.isnan(column), -1, column).astype(np.int64)
            made[feature.name] = pd.Categorical.from_codes(codes, categories=range(feature.categories))
        return pd.DataFrame(made)
