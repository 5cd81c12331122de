"""code/inference.py of the transformer: the functions that a handler of texts has, and that of a batch."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from networks import tokenize


def model_fn(model_dir: str) -> torch.nn.Module:
    """The TorchScript module."""
    return torch.jit.load(str(Path(model_dir) / "model.pt")).eval()


def input_fn(body: str, content_type: str) -> list[int]:
    """The tokens of `{"inputs": text}`."""
    return tokenize(json.loads(body)["inputs"])


def predict_fn(data: list[int], model: torch.nn.Module) -> list[float]:
    """The probabilities of one text."""
    return predict_batch_fn([data], model)[0]


def predict_batch_fn(data: list[list[int]], model: torch.nn.Module) -> list[list[float]]:
    """The probabilities of each text."""
    with torch.inference_mode():
        return model(torch.tensor(data)).tolist()


def output_fn(prediction: list[float], accept: str) -> tuple[str, str]:
    """JSON."""
    return json.dumps(prediction), "application/json"
