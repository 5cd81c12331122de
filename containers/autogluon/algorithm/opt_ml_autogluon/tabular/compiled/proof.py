"""Rows to compare a compiled predictor and AutoGluon's own on, and what counts as the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opt_ml_autogluon.tabular.columns import Columns, Values
from opt_ml_autogluon.tabular.compiled.layout import Unsupported

TOLERANCE = 1e-6  # of the largest prediction; a float32, which predictions are, has a tenth of that
_AWKWARD = (0.0, 1.0, -1.0, 0.5, 1e-9, -1e9, 1e9, np.inf)
_PLAIN_ROWS = 32  # where no rows of the training are there
_UNSEEN = "\x00 no category"


def sample_rows(columns: Columns, background: Values | None) -> Values:
    """Rows of the training, and others like them that are awkward.

    Those are: one column after the other missing, everything missing, categories that training never saw and
    known ones in another case, and numbers far outside of the training.

    Args:
        columns: of the training.
        background: rows of the training, or None where the model has none.
    """
    known = background or _made_up(columns)
    parts = [known]
    width = known.numbers.shape[1] + known.texts.shape[1]
    one = known.part(np.zeros(width + 1, dtype=np.int64))
    for place in range(known.numbers.shape[1]):
        one.numbers[place, place] = np.nan
    for place in range(known.texts.shape[1]):
        one.texts[known.numbers.shape[1] + place, place] = None
    one.numbers[-1], one.texts[-1] = np.nan, None
    parts.append(one)
    parts += [Values(np.full_like(known.numbers[:1], number), known.texts[:1]) for number in _AWKWARD]
    for change in (lambda text: _UNSEEN, str.upper, str.lower, lambda text: f"{text} "):
        texts = np.array([[text and change(text) for text in row] for row in known.texts[:4]], dtype=object)
        parts.append(Values(known.numbers[:4], texts.reshape(known.texts[:4].shape)))
    return Values(*(np.concatenate(same) for same in zip(*parts, strict=True)))


def check_same(found: NDArray[np.generic], expected: NDArray[np.generic], what: str) -> None:
    """Compare numbers.

    Raises:
        Unsupported: they differ in shape, or by more than `TOLERANCE`.
    """
    if found.shape != expected.shape or found.dtype != expected.dtype:
        raise Unsupported(
            f"{what}: {found.dtype} of shape {found.shape}, not {expected.dtype} {expected.shape}"
        )
    finite = expected[np.isfinite(expected)]
    largest = float(np.abs(finite).max()) if finite.size else 1.0
    with np.errstate(invalid="ignore"):
        same = np.isclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE * min(largest, 1.0), equal_nan=True)
    if not same.all():
        row = int(np.argmin(same.reshape(len(same), -1).all(axis=1)))
        raise Unsupported(f"{what}: in row {row + 1} of the proof {found[row]}, not {expected[row]}")


def _made_up(columns: Columns) -> Values:
    source = np.random.default_rng(0)
    numbers = source.normal(size=(_PLAIN_ROWS, len(columns.of_kind("number"))))
    numbers *= 10.0 ** source.integers(-2, 4, numbers.shape)
    return Values(numbers, np.full((_PLAIN_ROWS, len(columns.of_kind("text"))), "a", dtype=object))
