"""The label: which task it asks for, and its values as numbers or class codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from opt_ml.errors import UserError
from opt_ml.tables.files import Rows, as_numbers
from opt_ml.tables.text import category, quoted
from opt_ml.training.table_columns import FEW_CLASSES, check_class_texts

from opt_ml_ensemble.schema import Schema, Task
from opt_ml_ensemble.settings import Settings

MOST_CLASSES = 1000
ROWS_A_CLASS = 5
MOSTLY_NUMBERS = 0.9  # of a column's values, to take its texts for mistakes
LARGEST = 1e18  # its square is still a float32, in which the libraries add up squared errors
Classes = tuple[str | int | float, ...]


def find_task(rows: Rows, label: str, settings: Settings) -> tuple[Task, Classes]:
    """The task that `objective` names, or that the label suggests; and the classes, sorted.

    Text and truth values are classes; two different numbers are classes; whole numbers of at most 20
    kinds with at least 5 rows each on average are classes; everything else is a regression.

    Raises:
        UserError: a label that does not fit the named task, or has only one value.
    """
    column = rows.frame[label]
    if not column.notna().any():
        raise UserError(f"The label column {label!r} of the channel {rows.channel} is empty in every row.")
    numbers, text_row = as_numbers(column)
    numeric = text_row is None and not pd.api.types.is_bool_dtype(column)
    values = numbers[np.isfinite(numbers)] if numeric else np.empty(0)
    task = settings.task or _suggested(values, numeric, column)
    if settings.task is None and not numeric and _is_mostly_numbers(numbers, column):
        task = "regression"  # whose error below names the text among the numbers
    if task == "regression":
        if not numeric:
            row = int(np.argmax(column.notna())) if text_row is None else text_row
            raise UserError(
                f"{rows.where(row)}: the label {label!r} is {quoted(column.iloc[row])}, but a regression "
                "needs numbers. Correct it, name another label, or set objective to binary or multiclass."
            )
        if len(np.unique(values)) < 2:
            raise UserError(
                f"The label {label!r} has the same value in every row; there is nothing to learn."
            )
        return "regression", ()
    classes = _classes(column, values, numeric)
    if not numeric:
        check_class_texts(label, _class_texts(column), int(column.notna().sum()))
    _check_classes(label, task, classes, settings)
    return task, classes  # type: ignore[return-value]


def _suggested(values: NDArray[Any], numeric: bool, column: pd.Series) -> str:
    kinds = len(np.unique(values)) if numeric else len(_class_texts(column))
    if not numeric or kinds <= 2:
        return "binary" if kinds <= 2 else "multiclass"
    whole = bool((values == np.round(values)).all())
    few = kinds <= FEW_CLASSES and len(values) >= ROWS_A_CLASS * kinds
    return "multiclass" if whole and few else "regression"


def _is_mostly_numbers(numbers: NDArray[Any], column: pd.Series) -> bool:
    """True for a column of numbers with a slip of the pen, rather than for classes named by numbers."""
    kinds = len(np.unique(numbers[np.isfinite(numbers)]))
    share = np.isfinite(numbers).sum() / int(column.notna().sum())
    return bool(kinds > FEW_CLASSES and share >= MOSTLY_NUMBERS)


def _class_texts(column: pd.Series) -> list[str]:
    return sorted({text for text in map(category, pd.unique(column.dropna())) if text is not None})


def _classes(column: pd.Series, values: NDArray[Any], numeric: bool) -> Classes:
    if not numeric:
        return tuple(_class_texts(column))
    return tuple(int(value) if float(value).is_integer() else float(value) for value in np.unique(values))


def _check_classes(label: str, task: str, classes: Classes, settings: Settings) -> None:
    if len(classes) < 2:
        raise UserError(
            f"The label {label!r} has only one class ({classes[0]!r}); a classification needs at least two."
        )
    if task == "binary" and len(classes) > 2:
        shown = ", ".join(map(repr, classes[:5]))
        raise UserError(
            f"objective is binary, but the label {label!r} has {len(classes)} classes ({shown}, ...). "
            "Set objective to multiclass, or name another label."
        )
    if len(classes) > MOST_CLASSES:
        raise UserError(
            f"The label {label!r} has {len(classes)} different values, too many for classes. "
            "Name another label, or set objective to regression."
        )
    if settings["num_class"] and task == "multiclass" and settings["num_class"] != len(classes):
        raise UserError(
            f"num_class is {settings['num_class']}, but the label {label!r} has {len(classes)} classes. "
            "Leave num_class out: it is counted from the label."
        )


def encode_label(rows: Rows, schema: Schema) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Values or class codes of a channel's label, and which rows have one.

    Raises:
        UserError: text or a number beyond float32 in a regression, or a class that the train channel does
            not have, with file and line.
    """
    column = rows.frame[schema.label]
    numbers, text_row = as_numbers(column)
    if schema.task == "regression":
        if text_row is not None:
            raise UserError(
                f"{rows.where(text_row)}: the label {schema.label!r} is {quoted(column.iloc[text_row])}, "
                "but a regression needs numbers. Correct it."
            )
        known = np.isfinite(numbers)
        # The job would end after training, with an infinite error.
        too_large = known & (np.abs(numbers) > LARGEST)
        if too_large.any():
            row = int(np.argmax(too_large))
            raise UserError(
                f"{rows.where(row)}: the label {schema.label!r} is {quoted(column.iloc[row])}, too "
                f"large to compute with (more than {LARGEST:.0e}). Correct it, or scale the column."
            )
        return numbers, known
    by_text = {category(value): code for code, value in enumerate(schema.classes)}
    found = {value: by_text.get(category(value), -1) for value in pd.unique(column.dropna())}
    codes = column.map(found)
    unknown = (codes == -1).to_numpy()
    if unknown.any():
        row = int(np.argmax(unknown))
        raise UserError(
            f"{rows.where(row)}: the label {schema.label!r} is {quoted(column.iloc[row])}, a class that "
            f"the train channel does not have. Its classes are: {', '.join(map(str, schema.classes[:20]))}."
        )
    known = column.notna().to_numpy()
    return codes.fillna(0).to_numpy(dtype=np.int64), known
