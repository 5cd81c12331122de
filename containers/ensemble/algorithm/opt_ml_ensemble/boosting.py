"""XGBoost round by round: the same trees from the same rows, however many CPUs or hosts they lie on.

Three things in XGBoost depend on how the rows are spread, and are done here in their stead:

- The rows of a round (`subsample`): XGBoost draws them by the row's place in its own host and thread. Here
  they are drawn by their number in the whole, and the others get weight 0 for that round.
- The bins: each host sketches its own rows, and the merged sketch has other bins than one sketch of all rows.
  With several hosts the leader finds the bins on all rows, as one host would, and `coarse` puts every value
  on the lower edge of its bin: then so few values are left that every sketch of them is exact.
- The columns of a tree are drawn from a generator that outlives the round; see `forget`.

What is left is the order in which sums are added up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import xgboost
from numpy.typing import NDArray

from opt_ml_ensemble.schema import Data, Matrix

Cuts = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True)
class Fit:
    """What to boost.

    Attributes:
        options: XGBoost's parameters, without `subsample`.
        kinds: of the columns, `c` for category codes and `q` for numbers.
        subsample: share of the rows that each round sees.
        start: a model in UBJSON to go on from, or None.
    """

    options: Mapping[str, Any]
    kinds: Sequence[str]
    subsample: float
    start: bytes | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """All but the start, for JSON."""
        return {"options": dict(self.options), "kinds": list(self.kinds), "subsample": self.subsample}


class Rounds(Protocol):
    """A fit that advances round by round."""

    @property
    def rounds(self) -> int:
        """So far, those of the start included."""

    def forget(self) -> None:
        """Make the next tree depend on nothing but data, parameters, trees so far, and the round's number."""

    def update(self, number: int) -> None:
        """Boost one round; its number is the seed of what it draws."""

    def losses(self, number: int) -> tuple[float, float]:
        """On the rows trained on and on those watched."""

    def raw(self, rounds: int) -> bytes:
        """The first so many rounds as UBJSON."""


class LocalRounds:
    """A fit in this process; see `Rounds`.

    Args:
        fit: what to boost.
        train: the rows, or this host's share of them.
        watched: rows to measure on, or None.
        first_row: of `train` among the rows of all hosts.
    """

    def __init__(self, fit: Fit, train: Data, watched: Data | None, first_row: int = 0) -> None:
        self._fit = fit
        self._first_row = first_row
        self._rows = len(train)
        self._weight = np.ones(len(train)) if train.weight is None else train.weight
        self._train = quantile_matrix(fit, train)
        self._evals = [(self._train, "train")]
        if watched is not None:
            self._evals.append((_matrix(xgboost.DMatrix, fit, watched), "validation"))
        self._booster = xgboost.Booster(
            dict(fit.options),
            [matrix for matrix, _ in self._evals],
            model_file=bytearray(fit.start) if fit.start else None,
        )

    @property
    def rounds(self) -> int:
        """See `Rounds`."""
        return int(self._booster.num_boosted_rounds())

    def forget(self) -> None:
        """See `Rounds`.

        The generator that chooses columns lives as long as the tree builder, and no file holds its state: a
        booster that was loaded would go on with other columns. A change of the tree method makes a new
        builder, and keeps the predictions so far, so that this costs little. They equal those of a loaded
        booster bit by bit.
        """
        self._booster.set_param({"tree_method": "approx"})
        self._booster.save_config()  # parameters take effect when they are needed
        self._booster.set_param({"tree_method": "hist"})

    def update(self, number: int) -> None:
        """See `Rounds`."""
        if self._fit.subsample >= 1:
            self._booster.update(self._train, iteration=number)
            return
        self._train.set_weight(self._weight * self._drawn(number))
        self._booster.update(self._train, iteration=number)
        self._train.set_weight(self._weight)

    def losses(self, number: int) -> tuple[float, float]:
        """See `Rounds`."""
        # `[7]\ttrain-rmse:1.25\tvalidation-rmse:1.5`
        line = self._booster.eval_set(self._evals, number)
        train, validation = (float(part.rpartition(":")[2]) for part in line.split("\t")[1:])
        return train, validation

    def raw(self, rounds: int) -> bytes:
        """See `Rounds`."""
        booster = self._booster if rounds == self.rounds else self._booster[:rounds]
        return bytes(booster.save_raw("ubj"))

    def _drawn(self, number: int) -> NDArray[np.bool_]:
        generator = np.random.PCG64([int(self._fit.options["seed"]), number])
        generator.advance(self._first_row)  # one step a row
        return np.random.Generator(generator).random(self._rows) < self._fit.subsample


def quantile_matrix(fit: Fit, data: Data) -> xgboost.QuantileDMatrix:
    """Rows in bins. They are found here, with all weights, and not in the first round, with some at 0."""
    return _matrix(xgboost.QuantileDMatrix, fit, data, max_bin=fit.options["max_bin"])


def find_cuts(fit: Fit, data: Data) -> Cuts:
    """The upper edges of every column's bins: where each column begins among them, and the edges."""
    pointers, values = quantile_matrix(fit, data).get_quantile_cut()
    return pointers, values


def coarse(matrix: Matrix, kinds: Sequence[str], cuts: Cuts) -> Matrix:
    """Every number on the lower edge of its bin; the values below the first edge just below that."""
    pointers, values = cuts
    found = np.empty_like(matrix)
    for column, kind in enumerate(kinds):
        numbers = matrix[:, column]
        edges = values[pointers[column] : pointers[column + 1]]
        if kind == "c" or not len(edges):
            found[:, column] = numbers
            continue
        lower = np.concatenate([np.nextafter(edges[:1], np.float32(-np.inf)), edges[:-1]])
        bins = np.minimum(np.searchsorted(edges, numbers, side="right"), len(lower) - 1)
        found[:, column] = np.where(np.isnan(numbers), np.float32(np.nan), lower[bins])
    return found


def _matrix(kind: Any, fit: Fit, data: Data, **more: Any) -> Any:
    return kind(
        data.matrix,
        label=data.label,
        weight=data.weight,
        feature_types=list(fit.kinds),
        enable_categorical=True,
        feature_names=[f"f{i}" for i in range(len(fit.kinds))],
        nthread=fit.options["nthread"],
        **more,
    )
