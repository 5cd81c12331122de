"""code/inference.py for the AWS stacks: multi-model-server and the scikit-learn container."""

from __future__ import annotations

from typing import Any

import ensemble


def model_fn(model_dir: str) -> ensemble.Ensemble:
    """Load the model."""
    return ensemble.load(model_dir)


def input_fn(body: Any, content_type: str) -> Any:
    """Read the request."""
    if content_type != "text/csv":
        raise ValueError(f"{content_type} is not supported")
    return ensemble.parse(body)


def predict_fn(data: Any, model: ensemble.Ensemble) -> Any:
    """Ask the models."""
    return ensemble.predict(data, model)


def output_fn(prediction: Any, accept: str) -> Any:
    """Write the answer, whatever was asked for."""
    return ensemble.write(prediction)
