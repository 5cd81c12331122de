"""Which column is what, and the rows of a channel or of a request in one shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from opt_ml.errors import UserError
from opt_ml.serving.table import Table
from opt_ml.tables.columns import find_column, find_label
from opt_ml.tables.files import Rows, as_categories, as_numbers
from opt_ml.tables.request import Expected
from opt_ml.tables.text import quoted

from opt_ml_autogluon.timeseries.settings import Settings

# The names that AutoGluon's TimeSeriesDataFrame gives these columns.
ITEM, TIME = "item_id", "timestamp"
ITEM_NAMES = ("item_id", "unique_id", "id")
TIME_NAMES = ("timestamp", "ds", "datetime", "date", "time")
ONLY_ITEM = "series"  # the id of a series whose rows name none
ROW = "_row"  # where a row stands in the files or in the request, from 0
_YEAR, _DAY = range(1000, 3000), range(10000101, 29991232)  # numbers that are dates: 2024 and 20240131


class SeriesError(Exception):
    """What is wrong with the rows, in one sentence or two.

    Attributes:
        row: where, from 0; None where no single row is at fault.
    """

    def __init__(self, message: str, row: int | None = None) -> None:
        super().__init__(message)
        self.row = row


@dataclass(frozen=True)
class Columns:
    """The columns of the training files.

    Attributes:
        item: None where all rows are one series.
        known, past: covariates whose future values are known, and the others.
        static: what never changes in a series.
        texts: those of known, past and static that hold text.
        order: every column of the files.
        named: False where the files had no column names.
    """

    item: str | None
    time: str
    target: str
    known: tuple[str, ...]
    past: tuple[str, ...]
    static: tuple[str, ...]
    texts: tuple[str, ...]
    order: tuple[str, ...]
    named: bool = True

    def frame(self, found: pd.DataFrame) -> pd.DataFrame:
        """Rows in the shape of AutoGluon: item_id, timestamp, the target, numbers as float64; in order.

        Args:
            found: the columns of the files, each field as it was sent.

        Returns:
            one more column, ROW; sorted by series, in the order in which they come, and by time.

        Raises:
            SeriesError: no timestamp, text among numbers, or one step of a series twice.
        """
        item = as_categories(found[self.item]) if self.item else pd.Series(ONLY_ITEM, index=found.index)
        if item.isna().any():
            raise SeriesError(
                f"the column {self.item!r} is empty. Say which series it belongs to.", _first(item.isna())
            )
        made = pd.DataFrame({ITEM: item.to_numpy(dtype=object), TIME: _times(found[self.time], self.time)})
        for name in (self.target, *self.known, *self.past, *self.static):
            made[name] = self._values(found[name], name)
        made[ROW] = np.arange(len(made))
        order = made[ITEM].map({name: place for place, name in enumerate(pd.unique(made[ITEM]))})
        made = made.iloc[np.lexsort((made[TIME].to_numpy(), order.to_numpy()))].reset_index(drop=True)
        twice = made.duplicated([ITEM, TIME])
        if twice.any():
            where = int(np.argmax(twice))
            raise SeriesError(
                f"series {made[ITEM][where]!r} has {_shown(made[TIME][where])} a second time. "
                "Keep one row of each step.",
                int(made[ROW][where]),
            )
        return made

    def _values(self, column: pd.Series, name: str) -> np.ndarray[Any, Any]:
        if name in self.texts:
            return np.asarray(as_categories(column), dtype=object)
        values, text_row = as_numbers(column)
        if text_row is not None:
            raise SeriesError(
                f"column {name!r} holds {quoted(column.iloc[text_row])}, but must hold numbers. "
                "Correct it, or leave it empty.",
                text_row,
            )
        return np.where(np.isinf(values), np.nan, values)

    def request(self, table: Table) -> pd.DataFrame:
        """The columns of a request, by name or in the order of the training files.

        Raises:
            RequestError: 400 for a column that is absent.
        """
        table, positions = Expected(self.order, self.order, "", None, self.named).match(table)
        columns = zip(self.order, positions, strict=True)
        return pd.DataFrame({name: pd.Series(table.values[:, at], dtype=object) for name, at in columns})

    def to_json(self) -> dict[str, Any]:
        """Plain lists and texts, as they stand in model.json."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Columns:
        """The columns back from `to_json`."""
        values: dict[str, Any] = dict(content)
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        return cls(**values)


def find_columns(rows: Rows, settings: Settings) -> Columns:
    """What each column of the train channel is.

    Raises:
        UserError: a column that the job names and the files have not, no time, or one column twice.
    """
    names = [str(name) for name in rows.frame.columns]
    time = _find(rows, settings["timestamp"], "timestamp", TIME_NAMES)
    if time is None:
        raise UserError(
            f"No column of the train channel is called {', '.join(TIME_NAMES)}. Name the "
            f"one of the time by the hyperparameter timestamp. Its columns are: {', '.join(names[:20])}."
        )
    item = _find(rows, settings["item_id"], "item_id", ITEM_NAMES)
    target = find_label(rows, settings["target"], "target")
    known = tuple(find_column(rows, name, "known_covariates") for name in settings["known_covariates"])
    static = tuple(find_column(rows, name, "static_features") for name in settings["static_features"])
    chosen = [name for name in (time, item, target, *known, *static) if name is not None]
    twice = next((name for name in chosen if chosen.count(name) > 1), None)
    if twice is not None:
        raise UserError(
            f"The column {twice!r} cannot be two things: {_roles(twice, time, item, target, known)}."
        )
    past = tuple(name for name in names if name not in chosen)
    texts = tuple(name for name in (*known, *past, *static) if as_numbers(rows.frame[name])[1] is not None)
    return Columns(item, time, target, known, past, static, texts, tuple(names), rows.named)


def _find(rows: Rows, wanted: str | None, role: str, usual: tuple[str, ...]) -> str | None:
    if wanted is not None:
        return find_column(rows, wanted, role)
    names = {str(name).lower(): str(name) for name in reversed(rows.frame.columns)}
    return next((names[name] for name in usual if name in names), None)


def _roles(name: str, time: str, item: str | None, target: str, known: tuple[str, ...]) -> str:
    roles = {"timestamp": (time,), "item_id": (item,), "target": (target,), "known_covariates": known}
    found = [role for role, names in roles.items() if name in names]
    return " and ".join(found if len(found) > 1 else [*found, "static_features"]) + ". Name another one"


def _times(column: pd.Series, name: str) -> np.ndarray[Any, Any]:
    """The timestamps, those with a zone in UTC, as datetime64[ns]."""
    values = column
    numbers, text_row = as_numbers(column)
    if text_row is None and not pd.api.types.is_datetime64_any_dtype(column):
        whole = [int(number) if np.isfinite(number) else 0 for number in numbers]
        if not all(number in _YEAR or number in _DAY for number in whole):
            row = next(row for row, number in enumerate(whole) if number not in _YEAR and number not in _DAY)
            raise SeriesError(
                f"the timestamp in column {name!r} is {quoted(column.iloc[row])}. Write it as 2024-01-31 or "
                "2024-01-31T13:00:00.",
                row,
            )
        values = pd.Series([str(number) for number in whole])
    try:
        found = pd.to_datetime(values, format="ISO8601", errors="coerce", utc=True)
    except (ValueError, TypeError, OverflowError) as error:
        raise SeriesError(f"the timestamps in column {name!r} cannot be read ({error}).") from None
    if found.isna().any():
        row = _first(found.isna())
        raise SeriesError(
            f"the timestamp in column {name!r} is {quoted(column.iloc[row])}. Write it as 2024-01-31 or "
            "2024-01-31T13:00:00.",
            row,
        )
    return np.asarray(found.dt.tz_localize(None), dtype="datetime64[ns]")


def _first(mask: pd.Series) -> int:
    return int(np.argmax(mask.to_numpy()))


def _shown(time: pd.Timestamp) -> str:
    return str(time).removesuffix(" 00:00:00")
