"""The columns that a training job learns from: label, weights, numbers and classes, or one line of error."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from opt_ml.errors import UserError
from opt_ml.nearest import nearest
from opt_ml.tables.columns import find_column, find_label
from opt_ml.tables.files import Rows, as_numbers
from opt_ml.tables.text import have_decimal_commas, quoted

FEW_CLASSES = 20


def label_and_weight(rows: Rows, label: str | None, weight: str | None) -> tuple[str, str | None]:
    """The columns that the hyperparameters `label` and `weight_column` mean.

    Raises:
        UserError: there is no such column, or both are one.
    """
    found = find_label(rows, label)
    weight_column = find_column(rows, weight, "weight_column") if weight else None
    if weight_column == found:
        raise UserError(f"The column {found!r} cannot be both label and weight_column. Name another one.")
    return found, weight_column


def lacks_column(rows: Rows, name: str) -> UserError:
    """The error of a channel without a column of the train channel."""
    return UserError(
        f"The channel {rows.channel} has no column {name!r}, which the train channel has."
        f"{nearest(name, rows.frame.columns)} Give both the same columns."
    )


def numbers_as_trained(rows: Rows, name: str) -> NDArray[np.float64]:
    """The numbers of a column that held only numbers in the train channel; NaN where one is missing.

    Raises:
        UserError: it holds a text, with file and line.
    """
    column = rows.frame[name]
    numbers, text_row = as_numbers(column)
    if text_row is not None:
        raise UserError(
            f"{rows.where(text_row)}: column {name!r} holds {quoted(column.iloc[text_row])}, "
            "but held only numbers in the train channel. Correct the field or leave it empty."
        )
    return numbers


def read_weights(rows: Rows, name: str) -> NDArray[np.float64]:
    """The weight of every row.

    Raises:
        UserError: no such column, a weight that is none, with file and line, or only weights of 0.
    """
    if name not in rows.frame:
        raise UserError(f"The channel {rows.channel} has no column {name!r}, which is weight_column. Add it.")
    weight, text_row = as_numbers(rows.frame[name])
    wrong = ~np.isfinite(weight) | (weight < 0)
    if text_row is not None or wrong.any():
        row = int(np.argmax(wrong)) if text_row is None else text_row
        raise UserError(
            f"{rows.where(row)}: the weight in column {name!r} is {quoted(rows.frame[name].iloc[row])}. "
            "Every row needs a weight of 0 or more."
        )
    if not weight.any():
        raise UserError(f"Every weight in column {name!r} of the channel {rows.channel} is 0.")
    return weight


def check_class_texts(label: str, classes: Collection[str], rows: int, most: int | None = None) -> None:
    """Texts of which nearly every row has its own are no classes; a job on them would not end for hours.

    Args:
        label: the column.
        classes: its different texts.
        rows: that have one.
        most: classes that there may be in any case; None for any number.

    Raises:
        UserError: there are too many.
    """
    are_many = len(classes) > FEW_CLASSES and len(classes) > rows / 2
    if are_many or (most is not None and len(classes) > most):
        cure = "Name another label."
        if have_decimal_commas(classes):
            cure = "They are numbers with a decimal comma: write a decimal point."
        raise UserError(
            f"The label {label!r} has {len(classes)} different texts in {rows} rows, too many for "
            f"classes. {cure}"
        )
