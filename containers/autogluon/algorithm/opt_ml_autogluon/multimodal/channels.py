"""A job's channels as tables whose columns are images, text, numbers and categories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from opt_ml.data import open_objects
from opt_ml.environment import Channel
from opt_ml.errors import UserError
from opt_ml.tables.columns import find_column, find_label
from opt_ml.tables.files import Rows, read_channel
from sklearn.model_selection import train_test_split

from opt_ml_autogluon.multimodal.pictures import IMAGE, LABEL, check_pictures, is_picture, read_folders
from opt_ml_autogluon.multimodal.settings import Settings
from opt_ml_autogluon.tabular.columns import Columns, feature_frame, find_columns
from opt_ml_autogluon.tabular.label import (
    CLASSIFICATIONS,
    find_problem_type,
    label_column,
    without_missing,
)

FEWEST_ROWS = 10
# AutoGluon's names of the kinds of columns.
PICTURE, NUMBER, TEXT, CATEGORY = "image_path", "numerical", "text", "categorical"
MOST_CATEGORIES = 20  # texts that differ so little, and are so short, are categories of a multimodal table
LONGEST_CATEGORY = 40


@dataclass(frozen=True)
class Data:
    """The rows of a job, ready to fit on.

    Attributes:
        frames: by train, validation and perhaps test: features and label.
        columns: of a table; None for folders of images.
        kinds: of each feature, by AutoGluon's names.
        rows: of a table, by channel, as they were read.
        held_out: True where the validation rows are taken from the train channel.
    """

    frames: Mapping[str, pd.DataFrame]
    label: str
    problem_type: str
    columns: Columns | None
    kinds: Mapping[str, str]
    rows: Mapping[str, Rows]
    held_out: bool


def read_data(channels: Mapping[str, Channel], settings: Settings) -> Data:
    """Read every channel of a job.

    Args:
        channels: by `train`, `validation` and `test`.
        settings: the job's.

    Raises:
        UserError: data that does not fit.
    """
    data = _of_folders(channels) if settings["task"] == "image" else _of_tables(channels, settings)
    frames = dict(data.frames)
    if len(frames["train"]) < FEWEST_ROWS:
        raise UserError(
            f"The train channel has {len(frames['train'])} rows with a label, but needs at least "
            f"{FEWEST_ROWS}."
        )
    for name, frame in frames.items():
        print(f"Channel {name}: {len(frame)} rows.")
    held_out = "validation" not in frames
    if held_out:
        frames["train"], frames["validation"] = _split(frames["train"], data, settings)
    described = ", ".join(
        f"{name} ({kind.removesuffix('_path')})" for name, kind in list(data.kinds.items())[:10]
    )
    print(f"Label {data.label!r}: {data.problem_type}. Other columns: {described}.", flush=True)
    return Data(frames, data.label, data.problem_type, data.columns, data.kinds, data.rows, held_out)


def _of_folders(channels: Mapping[str, Channel]) -> Data:
    frames = {
        name: read_folders(channels[name]) for name in ("train", "validation", "test") if name in channels
    }
    classes = sorted(frames["train"][LABEL].unique())
    if len(classes) < 2:
        raise UserError(
            f"The train channel has only one folder ({classes[0]!r}), so only one class; there is nothing to "
            "learn. Put the images of each class into a folder with the name of the class."
        )
    for name, frame in frames.items():
        unknown = sorted(set(frame[LABEL]) - set(classes))
        if unknown:
            raise UserError(
                f"The channel {name} has a folder {unknown[0]!r}, a class that the train channel lacks. "
                f"Its classes are: {', '.join(classes[:20])}."
            )
    problem_type = "binary" if len(classes) == 2 else "multiclass"
    return Data(frames, LABEL, problem_type, None, {IMAGE: PICTURE}, {}, False)


def _of_tables(channels: Mapping[str, Channel], settings: Settings) -> Data:
    train = _read(channels["train"], settings)
    label = find_label(train, settings["label"])
    values = label_column(train, label, settings["problem_type"])
    problem_type = find_problem_type(label, values, settings["problem_type"])
    columns = find_columns(train, label, None)
    kinds = _kinds(train, columns, settings)
    rows, frames = {"train": train}, {}
    for name in ("train", "validation", "test"):
        if name not in channels:
            continue
        if name != "train":
            rows[name] = _read(channels[name], settings)
            values = label_column(rows[name], label, problem_type)
        frames[name] = _frame(rows[name], channels[name].directory, columns, kinds, values)
        if name != "train" and problem_type in CLASSIFICATIONS:
            unknown = set(frames[name][label]) - set(frames["train"][label])
            if unknown:
                raise UserError(
                    f"The channel {name} has the label {min(map(str, unknown))!r}, a class that the train "
                    "channel does not have."
                )
    return Data(frames, label, problem_type, columns, kinds, rows, False)


def _read(channel: Channel, settings: Settings) -> Rows:
    """The table of a channel, which of a multimodal job has files of images beside it."""
    objects = None
    if settings["task"] == "multimodal":
        objects = ((path, stream) for path, stream in open_objects(channel) if not is_picture(path.name))
    return read_channel(channel, settings["header"], settings["label"], objects)


def _kinds(train: Rows, columns: Columns, settings: Settings) -> dict[str, str]:
    """What AutoGluon takes each feature for."""
    named = settings["image_columns"]
    pictures = [find_column(train, name, "image_columns") for name in named] if named is not None else None
    kinds = {}
    for feature in columns.features:
        texts = train.frame[feature.name].dropna()
        if feature.kind == "number":
            kinds[feature.name] = NUMBER
        elif settings["task"] == "text":
            kinds[feature.name] = TEXT
        elif feature.name in pictures if pictures is not None else texts.map(is_picture).all():
            kinds[feature.name] = PICTURE
        elif texts.nunique() <= MOST_CATEGORIES and texts.astype(str).str.len().max() <= LONGEST_CATEGORY:
            kinds[feature.name] = CATEGORY
        else:
            kinds[feature.name] = TEXT
    if settings["task"] == "text" and TEXT not in kinds.values():
        raise UserError(
            f"No column of the train channel holds text: {', '.join(kinds)} hold numbers. Use task "
            "tabular for them."
        )
    return kinds


def _frame(
    rows: Rows, directory: Path, columns: Columns, kinds: Mapping[str, str], label: pd.Series
) -> pd.DataFrame:
    """Features and label of the rows that have a label; images by their full paths."""
    frame = feature_frame(rows, columns)
    for name, kind in kinds.items():
        if kind == PICTURE:
            frame[name] = _paths(rows, name, directory)
        elif kind in (TEXT, CATEGORY):
            frame[name] = frame[name].fillna("")
    frame[columns.label] = label
    kept = label.notna().to_numpy()
    if not kept.all():
        print(f"{rows.channel}: {int((~kept).sum())} of {len(kept)} rows have no label: left out.")
    frame = frame[kept].reset_index(drop=True)
    frame[columns.label] = without_missing(frame[columns.label])
    return frame


def _paths(rows: Rows, name: str, directory: Path) -> list[str]:
    """The files of one column of images."""
    paths = []
    for row, value in enumerate(rows.frame[name]):
        path = directory / str(value)
        if value is None or not path.is_file():
            raise UserError(
                f"{rows.where(row)}: the image {value!r} of column {name!r} is not in the channel. Put the "
                "files beside the table, and name them relative to it."
            )
        paths.append(path)
    check_pictures(dict.fromkeys(paths))
    return [str(path) for path in paths]


def _split(frame: pd.DataFrame, data: Data, settings: Settings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to learn from and rows held out; every class in both where it has two rows."""
    labels: Any = frame[data.label]
    is_classes = data.problem_type in CLASSIFICATIONS
    counts = labels.value_counts()
    held_out = round(settings["holdout_frac"] * len(frame))
    can_stratify = is_classes and counts.min() >= 2 and len(counts) <= min(held_out, len(frame) - held_out)
    train, validation = train_test_split(
        frame,
        test_size=settings["holdout_frac"],
        random_state=settings["seed"],
        stratify=labels if can_stratify else None,
    )
    if is_classes:  # a class that only the rows held out have could not be learned
        lost = ~validation[data.label].isin(train[data.label].unique()).to_numpy(dtype=bool)
        train, validation = pd.concat([train, validation[lost]]), validation[~np.asarray(lost)]
    return train.reset_index(drop=True), validation.reset_index(drop=True)
