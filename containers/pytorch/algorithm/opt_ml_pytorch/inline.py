"""A model that answers in the server's own processes; `quick` says which ones do."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from opt_ml.errors import RequestError
from opt_ml.serving.answers import Answer
from opt_ml.serving.codecs import media_type_of
from opt_ml.serving.media import JSON, NPY, OCTET_STREAM
from opt_ml.serving.quick import QuickRequest
from opt_ml.serving.warm_up import Sample

from opt_ml_pytorch.batching import cut, predict_together
from opt_ml_pytorch.device import chosen_device
from opt_ml_pytorch.loading import load_model
from opt_ml_pytorch.memory import keep_freed_memory
from opt_ml_pytorch.predicting import prepare
from opt_ml_pytorch.settings import Settings
from opt_ml_pytorch.tensors import decode_array, decode_tensor, encode_prediction, to_arrays

LONGEST = 0.002  # seconds of one call: so long the event loop answers nobody else
_TYPES = (JSON, NPY)
_ROUNDS = 5  # TorchScript is optimized in its first calls


def load_inline(model_dir: Path, settings: Settings, sample: Sample) -> InlineModel | None:
    """The model of a directory, ready to answer; None where it is on a GPU, or slow, or takes no rows.

    Args:
        model_dir: the model's.
        settings: see `Settings`.
        sample: a request, of whose shape the quick ones are.

    Raises:
        UserError: a device or a model file that cannot be used.
    """
    if chosen_device().type != "cpu":
        return None
    torch.set_num_threads(1)  # a process a CPU, and this is one of them
    row = decode_tensor(sample.body, sample.content_type)
    if not isinstance(row, torch.Tensor) or row.ndim < 2 or not row.shape[0]:
        return None
    model = load_model(model_dir, settings, chosen_device())
    keep_freed_memory()
    prepare(model, row, settings.most_rows)
    most_rows = _most_rows(model, row[:1], settings)
    if not most_rows:
        limit = f"{LONGEST * 1000:.0f} ms"
        print(f"The model takes over {limit} a request: workers answer.", file=sys.stderr, flush=True)
        return None
    return InlineModel(model, row[:1], most_rows, settings)


def _most_rows(model: Any, row: torch.Tensor, settings: Settings) -> int:
    """How many rows a call may have to take less than `LONGEST`; 0 where one takes longer."""
    found, rows = 0, 1
    while rows <= settings.most_rows:
        data = [row.expand(rows, *row.shape[1:])]
        times = []
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            [prediction] = predict_together(data, model, settings)
            if isinstance(prediction, Exception):
                raise prediction
            times.append(time.perf_counter() - began)
        if min(times) > LONGEST:
            break
        found, rows = rows, rows * 2
    return found


class InlineModel:
    """See `opt_ml.serving.quick.Quick`.

    Args:
        model: predicts.
        row: of the shape and type that it answers; shape (1, ...).
        most_rows: of one call.
        settings: see `Settings`.
    """

    def __init__(self, model: Any, row: torch.Tensor, most_rows: int, settings: Settings) -> None:
        self.most_rows = most_rows
        self._model = model
        self._kind = tuple(row.shape[1:]), row.numpy().dtype
        self._settings = settings
        self._default_accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or "*/*"

    def answer(self, requests: Sequence[QuickRequest]) -> list[Answer | None]:
        """The answers, in the order of the requests; None for what a worker must do."""
        answers: list[Answer | None] = [None] * len(requests)
        taken: list[int] = []
        data: list[NDArray[Any]] = []
        room = self.most_rows
        for number, request in enumerate(requests):
            rows = self._read(request)
            if rows is not None and len(rows) <= room:
                room -= len(rows)
                taken.append(number)
                data.append(rows)
        if not data:
            return answers
        for number, prediction in zip(taken, self._predict(data), strict=True):
            answers[number] = self._write(prediction, requests[number].accept)
        return answers

    def _predict(self, data: list[NDArray[Any]]) -> list[Any]:
        """One prediction a request, as arrays, or its exception.

        What is joined and cut here are arrays: a tensor for each request costs twice as much as its answer.
        """
        joined = np.concatenate(data)  # a copy: PyTorch has no tensor that may not be written to
        [predicted] = predict_together([torch.from_numpy(joined)], self._model, self._settings)
        if isinstance(predicted, Exception):  # which may be the fault of one of them
            return predict_together([torch.tensor(rows) for rows in data], self._model, self._settings)
        arrays = to_arrays(predicted)
        return [arrays] if len(data) == 1 else cut(arrays, [len(rows) for rows in data], len(joined))

    def _read(self, request: QuickRequest) -> NDArray[Any] | None:
        try:
            content_type = request.content_type or OCTET_STREAM
            if media_type_of(request.body, content_type).type not in _TYPES:
                return None
            rows = decode_array(request.body, content_type)
        except (RequestError, ValueError):
            return None  # a worker says what is wrong
        if not isinstance(rows, np.ndarray) or rows.ndim < 2 or not len(rows):
            return None
        return rows if (rows.shape[1:], rows.dtype) == self._kind else None

    def _write(self, prediction: Any, accept: str | None) -> Answer | None:
        if isinstance(prediction, Exception):
            return None
        wanted = accept if accept and accept.strip() != "*/*" else self._default_accept
        try:
            body, content_type = encode_prediction(prediction, wanted)
        except RequestError:
            return None
        return Answer(200, content_type, body)
