"""TorchServe's handlers on the native server: the functions of an inference.py for an unpacked archive.

    from opt_ml_pytorch.torchserve import input_fn, model_fn, output_fn, predict_batch_fn, predict_fn

in code/inference.py of a model whose directory holds what a .mar archive holds, MAR-INF/MANIFEST.json and the
files that it names, runs the archive's handler, a class with `initialize` and `handle` or a function
`handle(data, context)`. `build.py migrate` writes such a directory.

A request is a dict, `{"body": ...}`: the JSON value of an application/json body, else bytes, as TorchServe
hands it over. Where OPT_ML_PYTORCH_BATCH is over 1, requests that arrive while a worker is busy reach the
handler as one list of up to so many.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opt_ml.serving.media import JSON, parse_media_type

from opt_ml_pytorch.settings import read_settings
from opt_ml_pytorch.torchserve.service import Service

__all__ = ["input_fn", "model_fn", "output_fn", "predict_batch_fn", "predict_fn"]

_MOST_REQUESTS = read_settings().most_rows


def model_fn(model_dir: str) -> Service:
    """Load the archive's handler, and let it load its model.

    Raises:
        UserError: see `Service`.
    """
    return Service(Path(model_dir), _MOST_REQUESTS)


def input_fn(body: str | bytes, content_type: str) -> dict[str, Any]:
    """One request as TorchServe hands it over; JSON that is none stays bytes, as there."""
    content = body.encode() if isinstance(body, str) else body
    if parse_media_type(content_type).type == JSON:
        try:
            return {"body": json.loads(content)}
        except ValueError:
            pass
    return {"body": bytearray(content)}


def predict_fn(data: dict[str, Any], model: Service, context: Any) -> Any:
    """The handler's answer to one request."""
    [answer] = model.handle([data], [context])
    return answer


def _predict_batch_fn(data: Sequence[dict[str, Any]], model: Service, contexts: Sequence[Any]) -> list[Any]:
    step = _MOST_REQUESTS
    return [
        answer
        for first in range(0, len(data), step)
        for answer in model.handle(list(data[first : first + step]), list(contexts[first : first + step]))
    ]


predict_batch_fn = _predict_batch_fn if _MOST_REQUESTS > 1 else None


def output_fn(prediction: Any, accept: str) -> Any:
    """Text and bytes as they are, and anything else as JSON."""
    if isinstance(prediction, str | bytes | bytearray):
        return bytes(prediction) if isinstance(prediction, bytearray) else prediction
    return json.dumps(prediction), JSON
