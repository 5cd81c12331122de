"""What a field of text means, in training files and in requests alike."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

# Read as missing, in any column. One list for files and requests, so that both agree.
MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None")
_MISSING = frozenset(MISSING)
_DECIMAL_COMMA = re.compile(r"[-+]?[0-9]+,[0-9]+|[-+]?[0-9]+")
_TRUTH = {"true": 1.0, "false": 0.0}


def number(value: Any) -> float | None:
    """The number in a field: NaN for a missing one, 1 and 0 for true and false, None for other text."""
    if value is None:
        return math.nan
    if isinstance(value, str):
        text = value.strip()
        if text in _MISSING:
            return math.nan
        if text.lower() in _TRUTH:
            return _TRUTH[text.lower()]
        value = text
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def category(value: Any) -> str | None:
    """The category in a field, None for a missing one.

    A number is written one way only (`7`, `7.0` and `007` are the category `7`), because CSV, JSON and
    Parquet write the same number differently. So is a truth value: `True` or `False`.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if isinstance(value, bool | np.bool_):
        return str(value)
    parsed = number(value)
    if isinstance(value, str) and value.strip().lower() in _TRUTH:
        return str(parsed == 1)
    if parsed is None:
        return str(value).strip()
    if math.isnan(parsed):
        return None
    return str(int(parsed)) if parsed.is_integer() and abs(parsed) < 2**53 else repr(parsed)


def have_decimal_commas(texts: Iterable[Any]) -> bool:
    """True when all of some texts are numbers like `107,77`, as spreadsheets write them in much of Europe."""
    return all(isinstance(text, str) and _DECIMAL_COMMA.fullmatch(text.strip()) for text in texts)


def quoted(value: Any) -> str:
    """A field as an error text shows it: `'high'`, `-1.0`, or `empty`."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "empty"
    return repr(value.item() if isinstance(value, np.generic) else value)


def shown(path: Path) -> str:
    """`train/part-1.csv`: a file by its channel and its path in it, as the job's owner knows it."""
    parts = path.parts
    for position in range(len(parts) - 1, 1, -1):
        if parts[position - 2 : position] == ("input", "data"):
            return "/".join(parts[position:])
    return path.name
