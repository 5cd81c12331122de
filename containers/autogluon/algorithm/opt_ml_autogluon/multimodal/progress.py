"""What a fit depends on: checkpoints serve a job of the same data, hyperparameters and versions only."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from typing import Any

import pandas as pd

from opt_ml_autogluon.multimodal.channels import Data
from opt_ml_autogluon.multimodal.settings import Settings

LIBRARIES = ("autogluon.multimodal", "lightning", "timm", "torch", "transformers")
_WITHOUT_EFFECT = frozenset({"verbosity", "time_limit", "num_gpus"})


def versions() -> dict[str, str]:
    """The libraries that a model depends on."""
    return {name: version(name) for name in LIBRARIES}


def identity(settings: Settings, data: Data) -> dict[str, Any]:
    """In parts that a person can name. Of images it takes their names and labels, not their bytes."""
    values = {
        name: value
        for name, value in settings.values.items()
        if value is not None and name not in _WITHOUT_EFFECT
    }
    rows = {name: _digest(frame) for name, frame in data.frames.items() if name != "test"}
    return {"hyperparameters": values, "data": rows, "versions": versions()}


def _digest(frame: pd.DataFrame) -> str:
    return hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()
