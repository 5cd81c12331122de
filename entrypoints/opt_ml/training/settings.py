"""A job's hyperparameters by the table of its algorithm: every value typed, checked and filled in."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from opt_ml.training.hyperparameters import Hyperparameter, read_given


@dataclass(frozen=True)
class TableSettings:
    """The values of a job, every default filled in.

    An algorithm derives a class of its own, which names the table and may complete and check what was read.

    Attributes:
        table: every hyperparameter that the algorithm knows.
        values: name to value for every row of the table; None where the algorithm or the data decide.
        given: the names (aliases resolved) that the job itself set.
    """

    table: ClassVar[tuple[Hyperparameter, ...]]
    values: Mapping[str, Any]
    given: frozenset[str]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    @classmethod
    def read(cls, raw: Mapping[str, Any], texts: Mapping[str, Any] | None = None) -> Self:
        """Type, check and complete the hyperparameters of a job.

        Args:
            raw: name to value, as strings or JSON-decoded (TRAIN-30 to TRAIN-32).
            texts: the same as they came, for rows of kind `text`; by default those of `raw`.

        Raises:
            UserError: an unknown name (with the nearest known), a value of the wrong type or out of range,
                or one thing said twice under two names.
        """
        given = read_given(cls.table, raw, texts)
        return cls(cls.completed(given), frozenset(given))

    @classmethod
    def completed(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """A value for every row of the table, from those that the job gave.

        Raises:
            UserError: values that the table allows, but the algorithm does not.
        """
        return {row.name: given.get(row.name, row.default) for row in cls.table}

    def decided(self, without: Collection[str] = ()) -> dict[str, Any]:
        """The values that are not left to the algorithm or the data, less some."""
        return {
            name: value for name, value in self.values.items() if value is not None and name not in without
        }
