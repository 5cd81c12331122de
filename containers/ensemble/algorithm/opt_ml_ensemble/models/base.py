"""What every model of the ensemble can do, and what it is told."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from opt_ml.training.checkpoints import Checkpoint

from opt_ml_ensemble.boosting import Fit, LocalRounds, Rounds
from opt_ml_ensemble.schema import Data, Matrix, Task

Boost = Callable[[Fit, Data, Data | None], Rounds]


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
        boost: begins a fit of XGBoost, in this process or on all hosts of the job.
    """

    task: Task
    n_classes: int
    n_features: int
    categorical: tuple[int, ...]
    seed: int = 0
    threads: int = 1
    patience: int = 0
    boost: Boost = LocalRounds


_ROUNDS = {"catboost": "iterations", "xgboost": "num_round", "hist_gradient_boosting": "max_iter"}


@dataclass
class Curve:
    """Loss by boosting round, on the rows trained on and on those watched."""

    metric: str
    train: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)


class Progress(Protocol):
    """What a model that boosts tells and asks between its rounds; see `opt_ml_ensemble.progress`."""

    @property
    def keeps(self) -> bool:
        """False where there is nowhere to keep a state."""

    @property
    def seconds(self) -> float:
        """Between two kept states."""

    @property
    def stops(self) -> bool:
        """True once the job was told to stop."""

    @property
    def due(self) -> bool:
        """True when it is time for `keep`."""

    def so_far(self) -> Checkpoint | None:
        """The state that an interrupted run of this fit left."""

    def keep(self, facts: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        """Keep a state; `facts` holds `rounds`."""

    def line(self, rounds: int, metric: str, value: float) -> None:
        """Tell the loss on the watched rows; most lines are left out."""


class Model(ABC):
    """One trained model.

    Attributes:
        name: as in the hyperparameter `models`.
        file: what `save` writes into the model directory.
        continues: whether `fit` can go on from an earlier model; the others are trained anew.
        rounds: the boosting rounds that it uses, None for a model without rounds.
        curve: learning curve of the fit, None where there is none (also after loading).
        cut_short: True where the fit ended because the job was told to stop; the model is of use all the
            same if it has rounds.
    """

    name: ClassVar[str]
    file: ClassVar[str]
    continues: ClassVar[bool] = False

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.rounds: int | None = None
        self.curve: Curve | None = None
        self.cut_short = False

    @abstractmethod
    def fit(
        self,
        parameters: Mapping[str, Any],
        train: Data,
        watched: Data | None,
        progress: Progress,
        earlier: Model | None = None,
    ) -> None:
        """Train on `train`; stop early by the loss on `watched` where the model boosts.

        A model that boosts takes up the state that `progress` has, keeps its own there, and ends early with
        `cut_short` when it is told to stop; taken up, the fit ends with the same model bit by bit.

        Args:
            parameters: the rows of the hyperparameter table under this model's prefix.
            train: rows to learn from.
            watched: held-out rows, or None to use every round that `parameters` names.
            progress: of this fit.
            earlier: a model of the same kind to go on from, with so many rounds more.

        Raises:
            Stopped: the job was told to stop, and the model cannot be cut short.
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
        return parameters if rounds is None else {**parameters, _ROUNDS[cls.name]: rounds}

    @classmethod
    def most_rounds(cls, parameters: Mapping[str, Any]) -> int:
        """The boosting rounds that the parameters allow."""
        return int(parameters[_ROUNDS[cls.name]])


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
