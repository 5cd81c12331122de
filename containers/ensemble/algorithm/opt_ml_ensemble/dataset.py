"""From a channel's rows to the schema, and from rows and schema to matrix, label and weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from opt_ml.errors import UserError
from opt_ml.tables.files import Rows, as_categories, as_numbers, is_text
from opt_ml.tables.text import have_decimal_commas, quoted
from opt_ml.training.table_columns import label_and_weight, lacks_column, numbers_as_trained, read_weights

from opt_ml_ensemble.label import MOSTLY_NUMBERS, encode_label, find_task
from opt_ml_ensemble.schema import Data, Feature, Matrix, Schema, category_codes, finite_float32
from opt_ml_ensemble.settings import Settings

IDENTIFIER_ROWS = 20


def build_schema(rows: Rows, settings: Settings) -> Schema:
    """Decide label, weight, task and the kind of every column, from the train channel.

    Raises:
        UserError: a label or weight column that is not there, a label that does not fit the task, or no
            column that could tell anything.
    """
    label, weight = label_and_weight(rows, settings["label"], settings["weight_column"])
    task, classes = find_task(rows, label, settings)
    names = [name for name in rows.frame.columns if name not in (label, weight)]
    features = tuple(_feature(rows, name) for name in names)
    if all(feature.kind == "unused" for feature in features):
        reasons = (
            "; ".join(f"{feature.name}: {feature.note}" for feature in features)
            or "the label is the only one"
        )
        raise UserError(f"No column of the train channel tells anything about the label ({reasons[:300]}).")
    return Schema(features, label, task, classes, weight, rows.named)


def encode(rows: Rows, schema: Schema) -> Data:
    """Matrix, label and weights of a channel; rows without a label or of weight 0 are left out.

    Raises:
        UserError: a missing column, text where training had numbers, an unknown class, or a weight that
            is no weight: each with file, line and column.
    """
    present = set(rows.frame.columns)
    lost = [
        name
        for name in (*(f.name for f in schema.used), schema.label, schema.weight)
        if name and name not in present
    ]
    if lost:
        raise lacks_column(rows, lost[0])
    label, known = encode_label(rows, schema)
    weight = read_weights(rows, schema.weight) if schema.weight else None
    kept = _kept(rows, schema, known, weight)
    data = Data(_matrix(rows, schema), label, weight)
    return data if kept.all() else data.take(np.flatnonzero(kept))


def _kept(
    rows: Rows, schema: Schema, known: NDArray[np.bool_], weight: NDArray[np.float64] | None
) -> NDArray[np.bool_]:
    """The rows with a label and a weight; those without are told in the log.

    A row of weight 0 has no say, and a fold of such rows alone could be neither learned nor measured.
    """
    channel = rows.channel
    if not known.any():
        raise UserError(f"The label column {schema.label!r} of the channel {channel} is empty in every row.")
    if not known.all():
        print(f"{channel}: {int((~known).sum())} of {len(known)} rows have no label and are left out.")
    if weight is None:
        return known
    kept = known & (weight > 0)
    if not kept.any():
        raise UserError(f"Every row with a label has weight 0 in column {schema.weight!r} of {channel}.")
    if kept.sum() < known.sum():
        left_out = int(known.sum() - kept.sum())
        print(f"{channel}: {left_out} of {len(known)} rows have the weight 0 and are left out.")
    return kept


def _matrix(rows: Rows, schema: Schema) -> Matrix:
    matrix = np.empty((len(rows.frame), len(schema.used)), dtype=np.float32)
    for position, feature in enumerate(schema.used):
        column = rows.frame[feature.name]
        if feature.kind == "category":
            matrix[:, position] = category_codes(as_categories(column).to_numpy(), feature.categories)
            continue
        matrix[:, position] = finite_float32(numbers_as_trained(rows, feature.name))
    return matrix


def _feature(rows: Rows, name: str) -> Feature:
    column = rows.frame[name]
    if not column.notna().any():
        return Feature(name, "unused", note="empty in every row")
    numbers, text_row = as_numbers(column)
    if text_row is None:
        kept = numbers[np.isfinite(numbers)]
        if not len(kept) or (len(kept) == len(numbers) and (kept == kept[0]).all()):
            return Feature(name, "unused", note="the same in every row" if len(kept) else "no finite number")
        return Feature(name, "number")
    _notice_mostly_numbers(rows, name, numbers, text_row)
    texts = as_categories(column).dropna()
    counts = texts.value_counts()
    if len(counts) == 1 and len(texts) == len(column):
        return Feature(name, "unused", note="the same in every row")
    # Nearly one value a row: an identifier or free text, which only invites overfitting.
    if len(counts) > IDENTIFIER_ROWS and len(counts) > len(texts) / 2:
        note = f"{len(counts)} different texts in {len(texts)} rows, like an identifier"
        if have_decimal_commas(counts.index):
            note = "its numbers have a decimal comma; write a decimal point"
        return Feature(name, "unused", note=note)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return Feature(name, "category", tuple(str(text) for text, _ in ordered))


def _notice_mostly_numbers(rows: Rows, name: str, numbers: NDArray[Any], text_row: int) -> None:
    column: pd.Series = rows.frame[name]
    filled = int(column.notna().sum())
    others = filled - int(np.isfinite(numbers).sum())
    if filled - others >= MOSTLY_NUMBERS * filled and is_text(column):
        print(
            f"Column {name!r} holds numbers but for {others} of its {filled} values, such as "
            f"{quoted(column.iloc[text_row])} in {rows.where(text_row)}: it is taken as text, not as "
            "numbers. If that is a mistake in the data, correct it or leave the field empty."
        )
