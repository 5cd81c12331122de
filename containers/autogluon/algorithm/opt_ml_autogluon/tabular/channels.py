"""A job's channels as tables: read, checked against each other, and described in the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from opt_ml.environment import Channel
from opt_ml.errors import UserError
from opt_ml.tables.files import Rows, read_channel
from opt_ml.tables.text import quoted
from opt_ml.training.table_columns import label_and_weight, read_weights

from opt_ml_autogluon.tabular.columns import Columns, feature_frame, find_columns
from opt_ml_autogluon.tabular.label import CLASSIFICATIONS, find_problem_type, label_column, without_missing
from opt_ml_autogluon.tabular.settings import Settings

FEWEST_ROWS = 10


@dataclass(frozen=True)
class Tables:
    """The rows of a job, ready to fit on.

    Attributes:
        rows: by channel, as they were read.
        frames: by channel: features, label and weight as AutoGluon gets them; only rows with a label.
    """

    rows: Mapping[str, Rows]
    frames: Mapping[str, pd.DataFrame]
    columns: Columns
    problem_type: str


def read_tables(channels: Mapping[str, Channel], settings: Settings) -> Tables:
    """Read every channel of a job.

    Args:
        channels: as `find_channels` returns them.
        settings: the job's.

    Raises:
        UserError: data that does not fit.
    """
    train = read_channel(channels["train"], settings["header"], settings["label"])
    label, weight = label_and_weight(train, settings["label"], settings["weight_column"])
    values = label_column(train, label, settings["problem_type"])
    problem_type = find_problem_type(label, values, settings["problem_type"])
    columns = find_columns(train, label, weight)
    rows, frames = {"train": train}, {"train": _frame(train, columns, values)}
    if len(frames["train"]) < FEWEST_ROWS:
        raise UserError(
            f"The train channel has {len(frames['train'])} rows with a label, but needs at "
            f"least {FEWEST_ROWS}."
        )
    for name in ("validation", "test"):
        if name in channels:
            rows[name] = _with_names(read_channel(channels[name], settings["header"], label), train)
            values = label_column(rows[name], label, problem_type)
            frames[name] = _frame(rows[name], columns, values)
            if problem_type in CLASSIFICATIONS:
                _check_classes(rows[name], label, values, frames["train"][label])
    tables = Tables(rows, frames, columns, problem_type)
    _describe(tables)
    return tables


def _with_names(rows: Rows, train: Rows) -> Rows:
    """The train channel's names for a channel without any: the same columns in the same order."""
    if rows.named or not train.named or rows.frame.shape[1] != train.frame.shape[1]:
        return rows
    return Rows(rows.channel, rows.frame.set_axis(train.frame.columns, axis=1), rows.sources, True)


def _frame(rows: Rows, columns: Columns, label: pd.Series) -> pd.DataFrame:
    """Features, label and weight of the rows with a label and a weight above 0; the log tells of others."""
    frame = feature_frame(rows, columns)
    frame[columns.label] = label
    kept = label.notna().to_numpy()
    if columns.weight:
        frame[columns.weight] = read_weights(rows, columns.weight)
        kept &= (frame[columns.weight] > 0).to_numpy()
    if not kept.any():
        raise UserError(f"No row of the channel {rows.channel} has a label and a weight above 0.")
    if not kept.all():
        print(
            f"{rows.channel}: {int((~kept).sum())} of {len(kept)} rows have no label or no weight: left out."
        )
    frame = frame[kept].reset_index(drop=True)
    frame[columns.label] = without_missing(frame[columns.label])
    return frame


def _check_classes(rows: Rows, label: str, values: pd.Series, known: pd.Series) -> None:
    unknown = (values.notna() & ~values.isin(known.unique())).to_numpy()
    if unknown.any():
        row = int(np.argmax(unknown))
        classes = ", ".join(map(str, known.unique()[:20].tolist()))
        raise UserError(
            f"{rows.where(row)}: the label {label!r} is {quoted(values.iloc[row])}, a class that the train "
            f"channel does not have. Its classes are: {classes}."
        )


def _describe(tables: Tables) -> None:
    """Say in the log what was understood, so that a wrong guess is seen at once."""
    for rows in tables.rows.values():
        files = len(rows.sources)
        print(f"Channel {rows.channel}: {len(rows.frame)} rows in {files} file{'s' * (files > 1)}.")
    columns = tables.columns
    kinds = f"{len(columns.of_kind('number'))} of numbers, {len(columns.of_kind('text'))} of text"
    print(
        f"Label {columns.label!r}: {tables.problem_type}. {len(columns.features)} other columns: {kinds}.",
        flush=True,
    )
