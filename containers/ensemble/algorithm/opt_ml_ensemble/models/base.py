"""What every model of the ensemble can do, and what it is told."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from opt_ml_ensemble.schema import Data, Matrix, Task


@dataclass(frozen=True)
class Problem:
    """What a model must know of the job besides its own parameters.

    Attributes:
        task: the task.
        n_classes: 0 for a regression.
        n_features: columns of the matrix.
        categorical: positions of the columns that hold category codes.
        seed, threads: of the job.
        patience: early stopping rounds, 0 for none.
    """

    task: Task
    n_classes: int
    n_features: int
    categorical: tuple[int, ...]
    seed: int = 0
    threads: int = 1
    patience: int = 0


@dataclass
class Curve:
    """Loss by boosting round, on the rows trained on and on those watched."""

    metric: str
    train: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)


class Model(ABC):
    """One trained model.

    Attributes:
        name: as in the hyperparameter `models`.
        file: what `save` writes into the model directory.
        rounds: the boosting rounds that it uses, None for a model without rounds.
        curve: learning curve of the fit, None where there is none (also after loading).
    """

    name: ClassVar[str]
    file: ClassVar[str]

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.rounds: int | None = None
        self.curve: Curve | None = None

    @abstractmethod
    def fit(self, parameters: Mapping[str, Any], train: Data, watched: Data | None) -> None:
        """Train on `train`; stop early by the loss on `watched` where the model boosts.

        Args:
            parameters: the rows of the hyperparameter table under this model's prefix.
            train: rows to learn from.
            watched: held-out rows, or None to use every round that `parameters` names.
        """

    @abstractmethod
    def predict(self, matrix: Matrix, threads: int = 1) -> NDArray[np.float64]:
        """Shape (rows,) of values for a regression, else (rows, classes) of probabilities."""

    @abstractmethod
    def importance(self) -> NDArray[np.float64] | None:
        """Share of each column of the matrix in the predictions, sum 1; None where the model has none."""

    @abstractmethod
    def save(self, directory: Path) -> None:
        """Write the model in its library's own safe format; never pickle."""

    @classmethod
    @abstractmethod
    def load(cls, directory: Path, problem: Problem) -> Model:
        """The model back from `save`; it predicts bit by bit the same."""

    @classmethod
    def with_rounds(cls, parameters: Mapping[str, Any], rounds: int | None) -> Mapping[str, Any]:
        """The same parameters with exactly so many boosting rounds."""
        names = {"catboost": "iterations", "xgboost": "num_round", "hist_gradient_boosting": "max_iter"}
        return parameters if rounds is None else {**parameters, names[cls.name]: rounds}


def shares(raw: NDArray[Any] | Sequence[float]) -> NDArray[np.float64]:
    """Importances scaled to the sum 1; zeros stay zeros."""
    values = np.asarray(raw, dtype=np.float64)
    total = values.sum()
    return values / total if total > 0 else values


def every_class(found: NDArray[np.float64], classes: NDArray[Any], n_classes: int) -> NDArray[np.float64]:
    """Probabilities of all classes, from those of the classes that a fold had rows of; the others get 0."""
    if len(classes) == n_classes:
        return found
    spread = np.zeros((len(found), n_classes))
    spread[:, classes] = found
    return spread


def two_columns(positive: NDArray[Any]) -> NDArray[np.float64]:
    """Probabilities of both classes, shape (rows, 2), from those of the positive one."""
    positive = np.asarray(positive, dtype=np.float64)
    return np.column_stack([1.0 - positive, positive])
