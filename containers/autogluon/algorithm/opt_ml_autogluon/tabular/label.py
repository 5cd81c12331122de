"""The label: its values as AutoGluon gets them, and what kind of prediction they ask for."""

from __future__ import annotations

import numpy as np
import pandas as pd
from autogluon.core.utils import infer_problem_type
from opt_ml.errors import UserError
from opt_ml.tables.files import Rows, as_categories, as_numbers
from opt_ml.tables.text import quoted
from opt_ml.training.table_columns import FEW_CLASSES, check_class_texts

CLASSIFICATIONS = ("binary", "multiclass")
MOST_TEXT_CLASSES = 1000
MOSTLY_NUMBERS = 0.9  # of a column's values, to take its texts for mistakes


def label_column(rows: Rows, label: str, problem_type: str) -> pd.Series:
    """One value a row, float64 or text; missing ones are NaN or None.

    Raises:
        UserError: a label that is empty, or text where numbers are predicted, with file and line.
    """
    if label not in rows.frame:
        raise UserError(f"The channel {rows.channel} has no column {label!r}, which is the label. Add it.")
    column = rows.frame[label]
    if not column.notna().any():
        raise UserError(f"The label column {label!r} of the channel {rows.channel} is empty in every row.")
    values, text_row = as_numbers(column)
    if text_row is None and not pd.api.types.is_bool_dtype(column):
        return pd.Series(np.where(np.isinf(values), np.nan, values))
    if problem_type not in CLASSIFICATIONS and _needs_numbers(problem_type, column, values):
        row = int(np.argmax(column.notna())) if text_row is None else text_row
        raise UserError(
            f"{rows.where(row)}: the label {label!r} is {quoted(column.iloc[row])}, but a regression needs "
            "numbers. Correct it, name another label, or set problem_type to binary or multiclass."
        )
    texts = as_categories(column)
    known = texts.dropna()
    check_class_texts(label, known.unique(), len(known), MOST_TEXT_CLASSES)
    return texts


def find_problem_type(label: str, values: pd.Series, asked: str) -> str:
    """The problem type that the job asks for, or that AutoGluon infers from the label.

    Raises:
        UserError: a label that does not fit it.
    """
    known = without_missing(values)
    if known.nunique() < 2:
        raise UserError(
            f"The label {label!r} has only one value ({quoted(known.iloc[0])}); there is nothing to learn. "
            "Add rows with other values, or name another label."
        )
    found = infer_problem_type(known, silent=True) if asked == "auto" else asked
    if found == "binary" and known.nunique() > 2:
        shown = ", ".join(map(repr, known.unique()[:5].tolist()))
        raise UserError(
            f"problem_type is binary, but the label {label!r} has {known.nunique()} classes ({shown}, ...). "
            "Set problem_type to multiclass, or name another label."
        )
    return found


def without_missing(values: pd.Series) -> pd.Series:
    """The values that are there; whole numbers as int64, so that the class 1 is not called 1.0."""
    known = values.dropna()
    if known.dtype == np.float64 and (known == np.round(known)).all() and (known.abs() < 2**53).all():
        return known.astype(np.int64)
    return known


def _needs_numbers(problem_type: str, column: pd.Series, values: np.ndarray) -> bool:
    """True for a regression, and for a column of numbers with a slip of the pen."""
    if problem_type != "auto":
        return True
    finite = values[np.isfinite(values)]
    return bool(
        len(np.unique(finite)) > FEW_CLASSES and len(finite) >= MOSTLY_NUMBERS * int(column.notna().sum())
    )
