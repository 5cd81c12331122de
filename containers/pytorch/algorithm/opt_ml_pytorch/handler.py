"""The image's handler: the defaults of AWS's PyTorch toolkit, and what this image adds to them (HANDLER-30).

They fit any module, so they also stand in for what a model's own inference.py leaves out, beside its
`model_fn` too (`fits_any_model`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from opt_ml.errors import RequestError
from opt_ml.serving.warm_up import read_samples

from opt_ml_pytorch.batching import predict_together
from opt_ml_pytorch.compiling import compile_in_place
from opt_ml_pytorch.device import chosen_device
from opt_ml_pytorch.language.chatting import chat
from opt_ml_pytorch.language.pretrained import is_language_model, load_language_model
from opt_ml_pytorch.loading import load_model
from opt_ml_pytorch.memory import keep_freed_memory
from opt_ml_pytorch.predicting import predict, prepare
from opt_ml_pytorch.settings import read_settings
from opt_ml_pytorch.tensors import decode_tensor, encode_prediction

fits_any_model = True

_SETTINGS = read_settings()


def model_fn(model_dir: str) -> Any:
    """Load the language model or the model file of the directory; see `language` and `loading`.

    Raises:
        UserError: see `load_language_model` and `load_model`.
    """
    if is_language_model(Path(model_dir)):
        return load_language_model(Path(model_dir), chosen_device())
    return load_model(Path(model_dir), _SETTINGS, chosen_device())


def model_warmup_fn(model_dir: str, model: Any) -> None:
    """Have the model in its fastest form, one of a `model_fn` of the user's too.

    Raises:
        UserError: see `compile_in_place` and `read_samples`.
    """
    keep_freed_memory()
    sample = next(read_samples(Path(model_dir)), None)
    if _SETTINGS.compiler:
        compile_in_place(model, _SETTINGS)
    elif sample is not None:
        with suppress(RequestError, ValueError):  # a sample for an input_fn of the user's
            prepare(model, decode_tensor(sample.body, sample.content_type), _SETTINGS.most_rows)


def input_fn(body: bytes, content_type: str) -> Any:
    """The request as a tensor on the device; see `decode_tensor`."""
    data = decode_tensor(body, content_type)
    return data.to(chosen_device()) if isinstance(data, torch.Tensor) else data


def predict_fn(data: Any, model: Any) -> Any:
    """The model's answer, of padded rows where sizes are set; see `predict`."""
    if not _SETTINGS.sizes:
        return predict(data, model)
    [prediction] = predict_together([data], model, _SETTINGS)
    if isinstance(prediction, Exception):
        raise prediction
    return prediction


def _predict_batch_fn(data: Sequence[Any], model: Any) -> list[Any]:
    return predict_together(data, model, _SETTINGS)


predict_batch_fn = _predict_batch_fn if _SETTINGS.most_rows > 1 else None
"""Only where it was asked for: not every model treats each row of its input for itself."""


def chat_fn(request: dict[str, Any], model: Any) -> Iterator[str | dict[str, Any]]:
    """The answer of a language model to a chat; see `language.chatting`."""
    return chat(request, model)


def output_fn(prediction: Any, accept: str) -> tuple[bytes, str]:
    """The answer's body and Content-Type; see `encode_prediction`."""
    return encode_prediction(prediction, accept)
