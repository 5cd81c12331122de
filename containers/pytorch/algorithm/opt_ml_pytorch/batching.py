"""Requests that arrived together, as one call of the model."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from opt_ml.errors import RequestError

from opt_ml_pytorch.predicting import predict
from opt_ml_pytorch.settings import Settings

Kind = tuple[torch.Size, torch.dtype]


def predict_together(data: Sequence[Any], model: Any, settings: Settings) -> list[Any]:
    """One prediction a request, in their order, or the exception that it raised.

    Tensors of the same shape but for their first axis, the rows, and of the same type are joined, up to
    `settings.most_rows` a call. A tensor of one axis has no rows, so it goes alone, as does anything else.

    Args:
        data: what `input_fn` made of each request.
        model: takes rows and returns tensors with as many rows: a tensor, or a tuple, list or dict of them.
        settings: how many rows, and to which sizes they are padded.
    """
    predictions: list[Any] = [None] * len(data)
    for group in _groups(data, settings.most_rows):
        joined = _predict_group([data[number] for number in group], model, settings)
        for number, prediction in zip(group, joined, strict=True):
            predictions[number] = prediction
    return predictions


def _groups(data: Sequence[Any], most_rows: int) -> Iterator[list[int]]:
    """The positions of what goes into one call."""
    open_groups: dict[Kind, tuple[list[int], int]] = {}
    for number, item in enumerate(data):
        if not isinstance(item, torch.Tensor) or item.ndim < 2:
            yield [number]
            continue
        kind = (item.shape[1:], item.dtype)
        group, rows = open_groups.get(kind, ([], 0))
        if group and rows + item.shape[0] > most_rows:
            yield group
            group, rows = [], 0
        group.append(number)
        open_groups[kind] = (group, rows + item.shape[0])
    for group, _ in open_groups.values():
        yield group


def _predict_group(items: list[Any], model: Any, settings: Settings) -> list[Any]:
    if len(items) == 1 and not settings.sizes:
        return [_or_exception(items[0], model)]
    if not isinstance(items[0], torch.Tensor) or items[0].ndim < 2:
        return [_or_exception(item, model) for item in items]
    joined = torch.cat(items)
    try:
        predicted = predict(_padded(joined, settings.sizes), model)
    except RequestError:  # the shape that all of them have
        return [_or_exception(item, model) for item in items]
    rows = max(len(joined), next((size for size in settings.sizes if size >= len(joined)), 0))
    return cut(predicted, [item.shape[0] for item in items], rows)


def _padded(joined: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    """With rows of zeros up to the next of `sizes`; as it is where it has more rows than all of them."""
    place = bisect_left(sizes, len(joined))
    missing = sizes[place] - len(joined) if place < len(sizes) else 0
    return torch.cat([joined, joined.new_zeros(missing, *joined.shape[1:])]) if missing else joined


def cut(predicted: Any, counts: Sequence[int], rows: int) -> list[Any]:
    """The part of each request, in their order.

    Args:
        predicted: what a model returned for all of them: tensors, or the arrays that they hold.
        counts: rows of each request.
        rows: that went in, those of padding included.

    Raises:
        ValueError: a tensor that has not as many rows as went in.
    """
    ends = list(accumulate(counts))
    return [_rows(predicted, start, end, rows) for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def _rows(predicted: Any, start: int, end: int, rows: int) -> Any:
    if isinstance(predicted, torch.Tensor | np.ndarray):
        if predicted.ndim == 0 or predicted.shape[0] != rows:
            raise ValueError(
                f"the model returned shape {tuple(predicted.shape)} for {rows} rows, so requests cannot be "
                "joined. Unset OPT_ML_PYTORCH_BATCH."
            )
        return predicted[start:end]
    if isinstance(predicted, Mapping):
        return {name: _rows(value, start, end, rows) for name, value in predicted.items()}
    if isinstance(predicted, list | tuple):
        return [_rows(value, start, end, rows) for value in predicted]
    raise ValueError(f"the model returned a {type(predicted).__name__}. Unset OPT_ML_PYTORCH_BATCH.")


def _or_exception(item: Any, model: Any) -> Any:
    try:
        return predict(item, model)
    except Exception as error:
        return error
