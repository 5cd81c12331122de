"""The scikit-learn models: averaged trees, histogram boosting, linear models."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from opt_ml_ensemble.compiled.columns import Columns
from opt_ml_ensemble.compiled.scores import LEAF, LinearTerm, Link, Scores, Tree, round_down
from opt_ml_ensemble.models.scikit_learn import (
    HISTOGRAM_CATEGORIES,
    Forest,
    HistGradientBoosting,
    Linear,
    ScikitLearnModel,
)


def forest_scores(model: Forest) -> Scores:
    """The mean of the trees; categories are compared by their codes, as numbers."""
    members = [member.tree_ for member in model.estimator.estimators_]
    trees = []
    for tree in members:
        is_leaf = tree.children_left == -1
        values = np.where(is_leaf[:, None], tree.value[:, 0, :], 0.0) / len(members)
        trees.append(
            Tree(
                np.where(is_leaf, LEAF, tree.feature).astype(np.int64),
                round_down(tree.threshold),
                np.asarray(tree.missing_go_to_left, dtype=bool),
                np.asarray(tree.children_left, dtype=np.int64),
                np.asarray(tree.children_right, dtype=np.int64),
                values,
            )
        )
    return Scores(trees, np.zeros(trees[0].value.shape[1]), classes=_classes(model))


def histogram_scores(model: HistGradientBoosting, columns: Columns) -> Scores:
    """The sum of the trees over a baseline.

    Raises:
        NotCompilable: too large tables of categories.
    """
    estimator = model.estimator
    source = _Encoded(model, columns)
    trees = [
        _histogram_tree(predictor, column, source)
        for round_ in estimator._predictors
        for column, predictor in enumerate(round_)
    ]
    baseline = np.asarray(estimator._baseline_prediction, dtype=np.float64).reshape(-1)
    return Scores(trees, baseline, _link(model, len(baseline)), classes=_classes(model))


class _Encoded:
    """How HistGradientBoosting numbers its columns and their categories: its own, not those of the matrix."""

    def __init__(self, model: HistGradientBoosting, columns: Columns) -> None:
        self.columns = columns
        n_features = model.problem.n_features
        categorical = list(model.problem.categorical)
        rest = [position for position in range(n_features) if position not in categorical]
        preprocessor = model.estimator._preprocessor
        # With categories it moves their columns to the front.
        self.positions = list(range(n_features)) if preprocessor is None else [*categorical, *rest]
        self.codes: dict[int, NDArray[np.float64]] = {}
        for place, position in enumerate(categorical):
            rows = np.full((columns.n_codes[position] + 1, n_features), np.nan)
            rows[:-1, position] = np.minimum(np.arange(len(rows) - 1), HISTOGRAM_CATEGORIES - 1)
            self.codes[position] = preprocessor.transform(rows)[:, place]


def _histogram_tree(predictor: Any, column: int, source: _Encoded) -> Tree:
    nodes = predictor.nodes
    is_leaf = nodes["is_leaf"].astype(bool)
    positions = np.array(source.positions)[nodes["feature_idx"]]
    feature = np.where(is_leaf, LEAF, positions).astype(np.int64)
    threshold = round_down(nodes["num_threshold"].astype(np.float64))
    for node in np.flatnonzero(nodes["is_categorical"].astype(bool) & ~is_leaf):
        position = int(positions[node])
        goes_left = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]]
        feature[node] = source.columns.of_codes(
            position,
            _asks(source.codes[position], goes_left, bool(nodes["missing_go_to_left"][node])),
        )
        threshold[node] = 0.5
    return Tree(
        feature,
        threshold,
        nodes["missing_go_to_left"].astype(bool),
        nodes["left"].astype(np.int64),
        nodes["right"].astype(np.int64),
        np.where(is_leaf, nodes["value"], 0.0)[:, None],
        column,
    )


def _asks(codes: NDArray[np.float64], goes_left: NDArray[np.uint32], missing_left: bool) -> NDArray[Any]:
    """By code: 1 where a row goes right. A category that it never saw goes where a missing one goes."""
    is_known = ~np.isnan(codes)
    found = np.where(is_known, codes, 0).astype(np.int64)
    is_left = (goes_left[found // 32] >> (found % 32).astype(np.uint32)) & 1
    return 1.0 - np.where(is_known, is_left, missing_left)


def linear_scores(model: Linear, columns: Columns) -> Scores:
    """Imputer, scaler and coefficients as one linear term; each category as what it adds.

    Raises:
        NotCompilable: too large tables of categories.
    """
    estimator = model.estimator
    final, steps = estimator["model"], estimator["columns"].named_transformers_
    coefficients = np.atleast_2d(final.coef_).T
    categorical = model.problem.categorical
    numeric = [position for position in range(model.problem.n_features) if position not in categorical]
    terms: list[tuple[int, float, float, NDArray[np.float64]]] = []
    if numeric:
        imputer, scaler = steps["number"][0], steps["number"][1]
        scaled = coefficients[: len(numeric)] / scaler.scale_[:, None]
        terms += zip(numeric, imputer.statistics_, scaler.mean_, scaled, strict=True)
    if categorical:
        terms += _category_terms(steps["category"], coefficients[len(numeric) :], categorical, columns)
    linear = LinearTerm(
        tuple(number for number, _, _, _ in terms),
        np.array([fill for _, fill, _, _ in terms], dtype=np.float64),
        np.array([centre for _, _, centre, _ in terms], dtype=np.float64),
        np.array([row for _, _, _, row in terms]).reshape(len(terms), -1),
    )
    constant = np.atleast_1d(np.asarray(final.intercept_, dtype=np.float64))
    return Scores([], constant, _link(model, len(constant)), linear, _classes(model))


def _category_terms(
    encoder: Any, coefficients: NDArray[np.float64], categorical: tuple[int, ...], columns: Columns
) -> list[tuple[int, float, float, NDArray[np.float64]]]:
    terms = []
    start, width = 0, coefficients.shape[1]
    for place, (position, outputs) in enumerate(zip(categorical, encoder._n_features_outs, strict=True)):
        rows = np.full((columns.n_codes[position] + 1, len(categorical)), np.nan)
        rows[:-1, place] = np.arange(len(rows) - 1)
        one_hot = encoder.transform(rows)[:, start : start + outputs]
        adds = one_hot @ coefficients[start : start + outputs]
        for output in range(width):
            number = columns.of_codes(position, adds[:, output])
            terms.append((number, 0.0, 0.0, np.eye(width)[output]))
        start += outputs
    return terms


def _link(model: ScikitLearnModel, width: int) -> Link:
    if model.problem.task == "regression":
        return "identity"
    return "sigmoid" if width == 1 else "softmax"


def _classes(model: ScikitLearnModel) -> tuple[int, ...]:
    if model.problem.task == "regression":
        return ()
    return tuple(int(code) for code in model.estimator.classes_)
