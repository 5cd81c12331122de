"""Rows on which a compiled model is compared: some of the training, and some at the edge of every split."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opt_ml_ensemble.bundle import Bundle
from opt_ml_ensemble.compiled.ensemble import Ensemble
from opt_ml_ensemble.compiled.loading import Stored
from opt_ml_ensemble.compiled.scores import LEAF
from opt_ml_ensemble.compiled.tolerance import PROBABILITY
from opt_ml_ensemble.schema import Matrix, finite_float32

COUNT = 192  # of each kind


def stored_rows(bundle: Bundle, ensemble: Ensemble, sample: Matrix | None) -> Stored:
    """The rows and their native predictions.

    Args:
        bundle: predicts.
        ensemble: knows the thresholds.
        sample: rows as they are in training; without them the thresholds stand for the data.
    """
    rng = np.random.default_rng(0)
    edges = _edges(ensemble)
    if sample is None or not len(sample):
        plain = np.stack([rng.choice(values, COUNT) for values in edges], axis=1)
    else:
        plain = sample[np.sort(rng.choice(len(sample), min(COUNT, len(sample)), replace=False))]
    plain = np.ascontiguousarray(plain, dtype=np.float32)
    scale = float(np.std(bundle.predict(plain)))
    rows = np.concatenate([plain, _at_edges(plain, edges, ensemble, rng)])
    rows = rows[~_is_tied(bundle, rows)]
    return Stored(rows, bundle.predict(rows), scale)


def _edges(ensemble: Ensemble) -> list[NDArray[np.float32]]:
    """By column of the matrix: its thresholds, the codes of a category, or what a linear model centres at."""
    columns = ensemble.columns
    trees = [tree for scores in ensemble.models.values() for tree in scores.trees]
    feature = np.concatenate([tree.feature for tree in trees] or [np.array([LEAF])])
    threshold = np.concatenate([tree.threshold for tree in trees] or [np.zeros(1, dtype=np.float32)])
    found = []
    for position in range(columns.n_features):
        values = np.unique(threshold[feature == position])
        values = values[np.isfinite(values)]
        if position in columns.n_codes:
            values = np.arange(columns.n_codes[position], dtype=np.float32)
        for scores in ensemble.models.values():
            if scores.linear is not None and position in scores.linear.columns and not len(values):
                centre = scores.linear.centre[scores.linear.columns.index(position)]
                values = np.array([centre - 1, centre, centre + 1], dtype=np.float32)
        found.append(values if len(values) else np.zeros(1, dtype=np.float32))
    return found


def _at_edges(
    plain: Matrix, edges: list[NDArray[np.float32]], ensemble: Ensemble, rng: np.random.Generator
) -> Matrix:
    """Rows with half their values at a threshold, a step of float32 beside one, missing or huge."""
    rows = plain[rng.integers(0, len(plain), COUNT)].copy()
    infinity = np.float32(np.inf)
    for position, values in enumerate(edges):
        chosen = rng.choice(values, COUNT)
        kind = rng.integers(0, 10, COUNT)
        if position not in ensemble.columns.n_codes:
            step = np.where(kind % 3 == 1, infinity, np.where(kind % 3 == 2, -infinity, chosen))
            with np.errstate(over="ignore", under="ignore"):  # beside the largest and the smallest
                chosen = finite_float32(np.nextafter(chosen, step))
            huge = np.float32(1e30) * np.where(kind % 2, np.float32(1), np.float32(-1))
            chosen = np.where(rng.random(COUNT) < 0.02, huge, chosen)
        chosen = np.where(kind == 0, np.float32(np.nan), chosen)
        rows[:, position] = np.where(rng.random(COUNT) < 0.5, chosen, rows[:, position])
    return rows


def _is_tied(bundle: Bundle, rows: Matrix) -> NDArray[np.bool_]:
    """Rows for which a model that votes sees two classes as equally likely: rounding decides there."""
    tied = np.zeros(len(rows), dtype=bool)
    if bundle.blend.kind == "vote":
        for predicted in bundle.predict_each(rows).values():
            best = np.sort(predicted, axis=1)[:, -2:]
            tied |= best[:, 1] - best[:, 0] <= 2 * PROBABILITY
    return tied
