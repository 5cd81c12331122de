"""Why a prediction is what it is: by how much each column moves it, in its own unit.

Shapley values by sampled permutations (Strumbelj and Kononenko 2014). A row of the training becomes the
row of the request one column after the other, in a random order; what the prediction changes by when a column
changes is that column's share. The average over many orders and rows of the training is its value. Each order
is used backwards, too, which halves the noise. All values of a row add up to its prediction less the average
of those rows of the training.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from opt_ml.errors import RequestError

from opt_ml_autogluon.tabular.columns import Columns, Values
from opt_ml_autogluon.tabular.served import Served

BACKGROUND = "background.json"
ROWS = 32  # of the training, each with an order of its own
MOST_PREDICTIONS = 200_000  # for one request: some seconds


def write_background(path: Path, frame: pd.DataFrame, columns: Columns) -> None:
    """Keep some rows of the training beside the model, the same ones for the same data."""
    kept = frame.sample(min(ROWS, len(frame)), random_state=0)
    rows = [
        [None if pd.isna(value) else value for value in row]
        for row in kept[[feature.name for feature in columns.features]].to_numpy(dtype=object).tolist()
    ]
    path.write_text(json.dumps(rows, ensure_ascii=False) + "\n", encoding="utf-8")


def read_background(path: Path, columns: Columns) -> Values | None:
    """The rows that `write_background` kept; None where there are none."""
    if not path.exists():
        return None
    rows = np.array(json.loads(path.read_text(encoding="utf-8")), dtype=object)
    of_numbers = _places(columns, "number")
    return Values(rows[:, of_numbers].astype(np.float64), rows[:, _places(columns, "text")])


def explain(served: Served, values: Values) -> Mapping[str, NDArray[Any]]:
    """What moves the predictions for some rows.

    Returns:
        by name, each of shape (rows,): for a regression `prediction`, for quantiles that of the level nearest
        to the median, for classes `label` and its `probability`; `base`, which is the same of the rows of the
        training; and the share of each column, under its name.

    Raises:
        RequestError: 400 for more rows than can be explained at once.
    """
    background = served.background
    if background is None:
        raise RequestError(400, "This model has no rows of the training to explain predictions with.")
    width, rows = len(served.columns.features), len(values.numbers)
    orders = _orders(width)
    most = max(1, MOST_PREDICTIONS // (len(orders) * (width + 1)))
    if rows > most:
        raise RequestError(
            400, f"The request has {rows} rows, but at most {most} can be explained at once. Send fewer.",
            most=most,
        )  # fmt: skip
    # is_new[order, step, column]: the column already has the value of the request
    is_new = np.argsort(orders)[:, None, :] < np.arange(width + 1)[None, :, None]
    shown = served.predict(_mixed(served.columns, values, background, is_new))
    answer, explained = _explained(served, values, shown)
    found = explained.reshape(rows, len(orders), width + 1)
    shares = np.zeros((rows, width))
    for order, change in zip(orders, np.moveaxis(np.diff(found), 1, 0), strict=True):
        shares[:, order] += change / len(orders)
    answer["base"] = found[:, :, 0].mean(axis=1)
    for place, feature in enumerate(served.columns.features):
        name = f"column {feature.name}" if feature.name in answer else feature.name
        answer[name] = np.ascontiguousarray(shares[:, place])
    return answer


def _orders(width: int) -> NDArray[np.int64]:
    """Shape (orders, columns): orders of the columns and the same backwards; always the same ones."""
    source = np.random.default_rng(0)
    forwards = [source.permutation(width) for _ in range(ROWS // 2)]
    return np.array([order for one in forwards for order in (one, one[::-1])])


def _mixed(columns: Columns, values: Values, background: Values, is_new: NDArray[np.bool_]) -> Values:
    """Every step of every order for every row of the request, one after the other."""
    old = np.arange(len(is_new)) % len(background.numbers)
    mixed = []
    for kind, new_part, old_part in zip(("number", "text"), values, background, strict=True):
        chosen = is_new[:, :, _places(columns, kind)]
        part = np.where(chosen[None], new_part[:, None, None, :], old_part[old][None, :, None, :])
        mixed.append(part.reshape(-1, part.shape[-1]))
    return Values(*mixed)


def _explained(
    served: Served, values: Values, shown: NDArray[Any]
) -> tuple[dict[str, NDArray[Any]], NDArray[np.float64]]:
    """What the answer says of the prediction itself, and of each step the number that is explained."""
    predictor, rows = served.predictor, len(values.numbers)
    numbers = shown.astype(np.float64)
    last = slice(len(shown) // rows - 1, None, len(shown) // rows)  # the row of the request itself
    if not predictor.can_predict_proba:
        levels = predictor.quantile_levels
        place = 0 if levels is None else int(np.argmin(np.abs(np.asarray(levels, dtype=float) - 0.5)))
        return {"prediction": np.ascontiguousarray(shown[last, place])}, numbers[:, place]
    labels = served.labels(shown[last])
    places = np.repeat([served.names.index(label) for label in labels], len(shown) // rows)
    explained = numbers[np.arange(len(shown)), places]
    return {"label": labels, "probability": np.ascontiguousarray(explained[last])}, explained


def _places(columns: Columns, kind: str) -> list[int]:
    """Where the features of one kind stand."""
    return [place for place, feature in enumerate(columns.features) if feature.kind == kind]
