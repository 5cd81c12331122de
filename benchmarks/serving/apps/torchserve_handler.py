"""A TorchServe handler that predicts a batch at once: up to 32 requests, joined and split again."""

from __future__ import annotations

import os
from typing import Any

import ensemble
import numpy as np


class EnsembleHandler:
    """One a worker."""

    def __init__(self) -> None:
        self._models: ensemble.Ensemble | None = None

    def initialize(self, context: Any) -> None:
        """Load the model."""
        self._models = ensemble.load(os.environ["BENCHMARK_MODEL"])

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[str]:
        """One answer a request."""
        assert self._models is not None
        parts = [ensemble.parse(item["body"]) for item in data]
        prediction = ensemble.predict(np.concatenate(parts), self._models)
        ends = np.cumsum([len(part) for part in parts])[:-1]
        return [ensemble.write(part) for part in np.split(prediction, ends)]
