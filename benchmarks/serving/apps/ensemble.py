"""The model as people call it with the libraries themselves: one module for the handlers of all peers.

The same files that our image serves. Written for speed where a user would think of it: `loadtxt` instead of
`genfromtxt` (seven times), every library on one thread where the server starts several processes.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, NamedTuple

import catboost
import numpy as np
import skops.io
import xgboost
from numpy.typing import NDArray


class Ensemble(NamedTuple):
    """The three loaded models, of equal weight."""

    catboost: Any
    xgboost: Any
    scikit_learn: Any


def load(model_dir: str) -> Ensemble:
    """Read the files that our `train` wrote."""
    directory = Path(model_dir)
    path = directory / "hist_gradient_boosting.skops"
    return Ensemble(
        catboost.CatBoost().load_model(str(directory / "catboost.cbm")),
        xgboost.Booster(model_file=directory / "xgboost.ubj"),
        skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path)),
    )


def parse(body: str | bytes) -> NDArray[np.float32]:
    """The rows of a CSV body, shape (rows, columns), in the 32 bits that the model was trained with."""
    text = body if isinstance(body, str) else body.decode()
    return np.loadtxt(io.StringIO(text), np.float32, delimiter=",", ndmin=2)


def predict(rows: NDArray[np.float32], models: Ensemble) -> NDArray[np.float64]:
    """The mean of the three, shape (rows,)."""
    matrix = xgboost.DMatrix(rows, feature_names=models.xgboost.feature_names)
    each = [models.catboost.predict(rows), models.xgboost.predict(matrix), models.scikit_learn.predict(rows)]
    mean: NDArray[np.float64] = np.mean(each, axis=0)
    return mean


def write(prediction: NDArray[np.float64]) -> str:
    """One line a row."""
    return "\n".join(map(str, prediction.tolist())) + "\n"
