"""The handler: a graph in, the probabilities of the kinds of its nodes out.

A request is `{"inputs": {"features": [[...], ...], "edges": [[from, to], ...]}}`, where edges name nodes by
their place. Reading JSON and writing the answer is left to the image.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from network import Readers


class BadGraphError(Exception):
    """What the client gets with status 400."""

    status_code = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def model_fn(model_dir: str) -> Readers:
    """The network with the weights of the job."""
    saved = torch.load(Path(model_dir) / "model.pth", map_location="cpu", weights_only=True)
    model = Readers(**saved["facts"])
    model.load_state_dict(saved["state_dict"])
    return model.eval()


def predict_fn(data: Any, model: Readers) -> torch.Tensor:
    """The probabilities of the kinds, shape (nodes, kinds)."""
    try:
        graph = data["inputs"]
        features = torch.tensor(graph["features"], dtype=torch.float32)
        edges = torch.tensor(graph["edges"], dtype=torch.int64).reshape(-1, 2).T
    except (TypeError, KeyError, IndexError, ValueError, RuntimeError) as error:
        raise BadGraphError(f"the request is no graph with features and edges: {error}") from error
    if features.ndim != 2 or features.shape[1] != model.first.in_channels:
        raise BadGraphError(
            f"features have shape {tuple(features.shape)}, not (nodes, {model.first.in_channels})"
        )
    if edges.numel() and not 0 <= int(edges.min()) <= int(edges.max()) < len(features):
        raise BadGraphError(f"edges name places that {len(features)} nodes do not have")
    with torch.inference_mode():
        return torch.softmax(model(features, edges), dim=1)
