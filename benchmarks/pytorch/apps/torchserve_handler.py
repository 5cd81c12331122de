"""The TorchServe handler of both models: a batch is one call of the model."""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np
import torch
from networks import tokenize
from ts.torch_handler.base_handler import BaseHandler


class Handler(BaseHandler):
    """`initialize`, `inference` and `handle` are TorchServe's own."""

    def preprocess(self, data: list[dict[str, Any]]) -> torch.Tensor:
        """One tensor of all requests."""
        if os.environ["BENCHMARK_MODEL"] == "transformer":
            return torch.tensor([tokenize(row["body"]["inputs"]) for row in data])
        return torch.from_numpy(np.concatenate([np.load(io.BytesIO(row["body"])) for row in data]))

    def postprocess(self, data: torch.Tensor) -> list[Any]:
        """The probabilities of each request."""
        is_text = os.environ["BENCHMARK_MODEL"] == "transformer"
        return [row if is_text else [row] for row in data.tolist()]
