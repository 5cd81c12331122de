"""The model and its file: what `train` writes and `serve` reads, without pickle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from opt_ml.errors import UserError

FILE = "model.json"


@dataclass(frozen=True)
class Line:
    """label = constant + the sum of weight times feature.

    Attributes:
        label: column that it predicts.
        features: the other columns, in the order of the training files.
        named: False where those had no column names.
        weights: shape (features,).
        constant: in units of the label.
    """

    label: str
    features: tuple[str, ...]
    named: bool
    weights: NDArray[np.float64]
    constant: float

    def save(self, directory: Path) -> None:
        """Write the model file."""
        content = {**vars(self), "weights": self.weights.tolist()}
        (directory / FILE).write_text(json.dumps(content), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Line:
        """Read the model file.

        Raises:
            UserError: it is missing or damaged.
        """
        path = directory / FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            weights, features = np.array(content.pop("weights")), tuple(content.pop("features"))
            return cls(weights=weights, features=features, **content)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UserError(f"{path} is no model of this image ({type(error).__name__}: {error}).") from None

    def predict(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predictions of shape (rows,) for a matrix of shape (rows, features)."""
        return matrix @ self.weights + self.constant
