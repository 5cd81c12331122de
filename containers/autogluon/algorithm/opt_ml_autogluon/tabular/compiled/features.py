"""The columns of requests to the matrix that models predict from, as the fitted feature generators do it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
from autogluon.features.generators import (
    AsTypeFeatureGenerator,
    AutoMLPipelineFeatureGenerator,
    BulkFeatureGenerator,
    CategoryFeatureGenerator,
    DatetimeFeatureGenerator,
    DropDuplicatesFeatureGenerator,
    DropUniqueFeatureGenerator,
    FillNaFeatureGenerator,
    IdentityFeatureGenerator,
    IsNanFeatureGenerator,
    TextNgramFeatureGenerator,
    TextSpecialFeatureGenerator,
)
from autogluon.features.generators.memory_minimize import CategoryMemoryMinimizeFeatureGenerator
from numpy.typing import NDArray

from opt_ml_autogluon.tabular.columns import Columns, Values
from opt_ml_autogluon.tabular.compiled.layout import Feature, Layout, Matrix, Unsupported

_KNOWN = (
    AsTypeFeatureGenerator,
    AutoMLPipelineFeatureGenerator,
    CategoryFeatureGenerator,
    CategoryMemoryMinimizeFeatureGenerator,
    DropDuplicatesFeatureGenerator,
    DropUniqueFeatureGenerator,
    FillNaFeatureGenerator,
    IdentityFeatureGenerator,
)
_MAKES_OTHERS = (
    DatetimeFeatureGenerator,
    IsNanFeatureGenerator,
    TextNgramFeatureGenerator,
    TextSpecialFeatureGenerator,
)


@dataclass(frozen=True)
class Rows:
    """What models predict from.

    Attributes:
        make_frame: the same rows as AutoGluon's models get them.
    """

    matrix: Matrix
    make_frame: Callable[[], pd.DataFrame]

    @cached_property
    def frame(self) -> pd.DataFrame:
        """See `make_frame`; made once, where a model asks for it."""
        return self.make_frame()


Step = Callable[[Values], NDArray[Any]]
"""One feature of some rows: shape (rows,)."""


class ColumnFeatures:
    """Each feature is made of one column: a number, a truth value or a category.

    Args:
        generators: the fitted ones of the predictor, which is one if it was not given others.
        columns: of the requests.

    Raises:
        Unsupported: a feature is made in another way, such as from prose or dates.
    """

    def __init__(self, generators: Sequence[Any], columns: Columns) -> None:
        if len(generators) != 1:
            raise Unsupported(f"there are {len(generators)} generators of features")
        generator = generators[0]
        every = list(_every(generator))
        for one in every:
            _check(one)
        self._numbers = {name: place for place, name in enumerate(columns.of_kind("number"))}
        self._texts = {name: place for place, name in enumerate(columns.of_kind("text"))}
        truths, categories = _learned(every)
        features, self._steps = [], []
        for name in generator.features_out:
            if name in truths:
                features.append(Feature(name, dtype="int8"))
                self._steps.append(self._truth(name, truths[name]))
            elif name in categories:
                features.append(Feature(name, categories=len(categories[name])))
                self._steps.append(self._category(name, categories[name]))
            elif name in self._numbers:
                features.append(Feature(name))
                self._steps.append(self._number(self._numbers[name]))
            else:
                raise Unsupported(f"the feature {name!r} is not a column as it is")
        self.layout = Layout(tuple(features))

    def rows(self, values: Values) -> Rows:
        """The features of some rows."""
        made = np.empty((len(values.numbers), len(self._steps)))
        for place, step in enumerate(self._steps):
            made[:, place] = step(values)
        return Rows(made, partial(self.layout.frame, made))

    @staticmethod
    def _number(place: int) -> Step:
        def step(values: Values) -> NDArray[Any]:
            column = values.numbers[:, place]
            return np.where(np.isinf(column), np.nan, column)

        return step

    def _truth(self, name: str, value: Any) -> Step:
        if name in self._numbers:
            place = self._numbers[name]
            return lambda values: values.numbers[:, place] == value
        place = self._texts[name]
        return lambda values: np.array([text == value for text in values.texts[:, place].tolist()])

    def _category(self, name: str, categories: pd.Index) -> Step:
        if name not in self._texts:
            raise Unsupported(f"the column {name!r} of numbers is a category")
        place = self._texts[name]
        codes: dict[Any, float] = {category: float(code) for code, category in enumerate(categories)}
        codes[None] = codes.get("", np.nan)  # FillNa writes a missing text so

        def step(values: Values) -> NDArray[Any]:
            texts = values.texts[:, place].tolist()
            return np.array([codes.get(text, np.nan) for text in texts])

        return step


class FrameFeatures:
    """The features as AutoGluon makes them, from a data frame.

    Args:
        transform: of the predictor.
        columns: of the requests.
        sample: some rows.

    Raises:
        Unsupported: a feature is neither a number nor a category.
    """

    def __init__(
        self, transform: Callable[[pd.DataFrame], pd.DataFrame], columns: Columns, sample: Values
    ) -> None:
        self._transform = transform
        self._columns = columns
        frame = transform(columns.frame(sample))
        self.layout = Layout(tuple(_feature(frame[name]) for name in frame.columns))

    def rows(self, values: Values) -> Rows:
        """The features of some rows."""
        frame = self._transform(self._columns.frame(values))
        made = np.empty(frame.shape)
        for place, feature in enumerate(self.layout.features):
            column = frame[feature.name]
            if feature.categories is None:
                made[:, place] = column.to_numpy()
            else:
                codes = column.cat.codes.to_numpy()
                made[:, place] = np.where(codes < 0, np.nan, codes)
        return Rows(made, lambda: frame)


def _feature(column: pd.Series) -> Feature:
    name = str(column.name)
    if isinstance(column.dtype, pd.CategoricalDtype):
        if list(column.cat.categories) != list(range(len(column.cat.categories))):
            raise Unsupported(f"the feature {name!r} has categories that are no codes")
        return Feature(name, categories=len(column.cat.categories))
    if column.dtype.kind not in "biuf":
        raise Unsupported(f"the feature {name!r} is neither a number nor a category")
    return Feature(name, dtype=str(column.dtype))


def _every(generator: Any) -> Iterator[Any]:
    """The generator and those within it."""
    yield generator
    inner = [one for group in getattr(generator, "generators", []) for one in group]
    for one in (*inner, generator._pre_astype_generator, *generator._post_generators):
        if one is not None:
            yield from _every(one)


def _check(generator: Any) -> None:
    kind = type(generator)
    is_unused = kind in _MAKES_OTHERS and not generator.features_out
    if kind not in (*_KNOWN, BulkFeatureGenerator) and not is_unused:
        raise Unsupported(
            f"{kind.__name__} makes features of {', '.join(map(str, generator.features_in[:3]))}"
        )
    if generator.passthrough and generator.passthrough_features:
        raise Unsupported(f"{kind.__name__} passes columns through")


def _learned(generators: list[Any]) -> tuple[dict[str, Any], dict[str, pd.Index]]:
    """By column: the value that is true, and the categories in the order of their codes."""
    truths: dict[str, Any] = {}
    categories: dict[str, pd.Index] = {}
    for generator in generators:
        if isinstance(generator, AsTypeFeatureGenerator):
            truths |= generator._bool_features or {}
        if isinstance(generator, CategoryFeatureGenerator):
            if generator._fillna_map:
                raise Unsupported("categories fill in for missing ones")
            categories |= generator.category_map or {}
    return truths, categories
