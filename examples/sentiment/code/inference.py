"""The handler, with all four functions, as it would run in AWS's PyTorch and Hugging Face images.

A request is `{"inputs": "a text"}` or `{"inputs": ["one", "another"]}`; the answer has a label and a score
for each text. Without model.safetensors the weights are random: enough to try an endpoint out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from network import LABELS, Sentiment, to_numbers
from safetensors.torch import load_file


class Loaded(NamedTuple):
    """The network and the words that it knows."""

    network: Sentiment
    vocabulary: dict[str, int]


def model_fn(model_dir: str) -> Loaded:
    """The network with the weights of the job, or with random ones."""
    words, weights = Path(model_dir, "vocabulary.json"), Path(model_dir, "model.safetensors")
    vocabulary = json.loads(words.read_text(encoding="utf-8")) if words.exists() else {}
    network = Sentiment(words=len(vocabulary) + 2)
    if weights.exists():
        network.load_state_dict(load_file(weights))
    return Loaded(network.eval(), vocabulary)


def input_fn(body: str, content_type: str) -> list[str]:
    """The texts of the request; a ValueError is answered with 400."""
    if content_type != "application/json":
        raise ValueError(f"Content-Type is {content_type}; send application/json")
    content = json.loads(body)
    inputs = content.get("inputs") if isinstance(content, dict) else None
    texts = [inputs] if isinstance(inputs, str) else inputs
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError("inputs must be a text or a list of texts")
    return texts


def predict_fn(data: list[str], model: Loaded) -> torch.Tensor:
    """The probabilities of `LABELS`, shape (n, 2)."""
    with torch.inference_mode():
        return torch.softmax(model.network(to_numbers(data, model.vocabulary)), dim=1)


def output_fn(prediction: torch.Tensor, accept: str) -> tuple[str, str]:
    """The likeliest label of each text and its probability."""
    scores, places = prediction.max(dim=1)
    answers: list[dict[str, Any]] = [
        {"label": LABELS[place], "score": round(score, 4)}
        for score, place in zip(scores.tolist(), places.tolist(), strict=True)
    ]
    return json.dumps(answers), "application/json"
