"""A job's channels as sets of series: read, checked, and described in the log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from autogluon.timeseries import TimeSeriesDataFrame
from opt_ml.environment import Channel
from opt_ml.errors import UserError
from opt_ml.tables.files import Rows, read_channel

from opt_ml_autogluon.timeseries.columns import Columns, SeriesError, find_columns
from opt_ml_autogluon.timeseries.settings import Settings
from opt_ml_autogluon.timeseries.steps import find_frequency, standard, to_series

SHORTEST = 5  # steps that AutoGluon learns from, beside those that it measures on


@dataclass(frozen=True)
class Data:
    """The series of a job, ready to fit on.

    Attributes:
        rows: by channel, as they were read.
        series: by channel: train, and perhaps validation and test, whose last steps are forecast.
        freq: the step of all series.
    """

    rows: Mapping[str, Rows]
    series: Mapping[str, TimeSeriesDataFrame]
    columns: Columns
    freq: str


def read_data(channels: Mapping[str, Channel], settings: Settings) -> Data:
    """Read every channel of a job.

    Args:
        channels: by `train`, `validation` and `test`.
        settings: the job's.

    Raises:
        UserError: data that does not fit, with file and line.
    """
    train = read_channel(channels["train"], settings["header"], settings["target"])
    columns = find_columns(train, settings)
    with _located(train):
        frame = columns.frame(train.frame)
        freq = standard(settings["freq"] or find_frequency(frame))
    rows, series = {"train": train}, {}
    for name in ("train", "validation", "test"):
        if name not in channels:
            continue
        if name != "train":
            rows[name] = _like(read_channel(channels[name], settings["header"], settings["target"]), columns)
        with _located(rows[name]):
            made = frame if name == "train" else columns.frame(rows[name].frame)
            series[name] = to_series(made, columns, freq, settings["fill_gaps"])
    data = Data(rows, series, columns, freq)
    _check_lengths(data, settings["prediction_length"])
    _describe(data, settings)
    return data


@contextmanager
def _located(rows: Rows) -> Iterator[None]:
    """What is wrong with a row, by its file and line."""
    try:
        yield
    except SeriesError as error:
        where = f"The channel {rows.channel}" if error.row is None else rows.where(error.row)
        raise UserError(f"{where}: {error}") from None


def _like(rows: Rows, columns: Columns) -> Rows:
    """A further channel with the columns of the train channel; without names they come in its order."""
    if not rows.named and columns.named and rows.frame.shape[1] == len(columns.order):
        return Rows(rows.channel, rows.frame.set_axis(list(columns.order), axis=1), rows.sources, True)
    absent = [name for name in columns.order if name not in rows.frame]
    if absent:
        raise UserError(
            f"The channel {rows.channel} has no column {absent[0]!r}, which the train channel has. "
            "Give both the same columns."
        )
    return rows


def _check_lengths(data: Data, steps: int) -> None:
    needed = {"train": max(steps + 1, SHORTEST) + steps, "validation": steps + 1, "test": steps + 1}
    for name, series in data.series.items():
        lengths = series.num_timesteps_per_item()
        longest, shortest = int(lengths.max()), int(lengths.min())
        if longest < needed[name] or (name != "train" and shortest < needed[name]):
            which = f"longest series has {longest}" if name == "train" else f"shortest series has {shortest}"
            raise UserError(
                f"The {which} steps in the channel {name}, but a prediction_length of {steps} needs "
                f"{needed[name]}. Bring more of the past, or forecast fewer steps."
            )


def _describe(data: Data, settings: Settings) -> None:
    """Say in the log what was understood, so that a wrong guess is seen at once."""
    columns = data.columns
    for name, series in data.series.items():
        lengths = series.num_timesteps_per_item()
        span = f"{lengths.min()} to {lengths.max()}" if lengths.min() < lengths.max() else str(lengths.max())
        print(f"Channel {name}: {len(data.rows[name].frame)} rows, {len(lengths)} series of {span} steps.")
    origin = "as asked" if settings["freq"] else "found from the timestamps"
    parts = [
        f"Target {columns.target!r}, time {columns.time!r}, frequency {data.freq} ({origin})",
        f"series by {columns.item!r}" if columns.item else "all rows are one series",
    ]
    parts += [f"{what}: {', '.join(names)}" for what, names in _covariates(columns) if names]
    print("; ".join(parts) + ".", flush=True)


def _covariates(columns: Columns) -> list[tuple[str, tuple[str, ...]]]:
    return [
        ("known covariates", columns.known),
        ("past covariates", columns.past),
        ("static", columns.static),
    ]
