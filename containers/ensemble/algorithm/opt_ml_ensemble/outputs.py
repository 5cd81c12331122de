"""What an answer holds, by the Accept parameter `output`; no framework is needed for it.

What a request does not ask for is said by the environment variable ENSEMBLE_OUTPUT (batch transform cannot
send Accept parameters everywhere), else by the objective that the model was trained with.

| output | regression | classes |
|---|---|---|
| `predictions` | the number | as `labels` |
| `labels` | 400 | the most probable class |
| `probability` | 400 | of the second of two classes, as XGBoost's `binary:logistic` answers |
| `probabilities` | 400 | one column a class |
| `models` | the blend and every single model | the same, as classes |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opt_ml.serving import outputs
from opt_ml.serving.codecs import MediaType

from opt_ml_ensemble.schema import Schema

OUTPUTS = ("predictions", "labels", "probability", "probabilities", "models")

Each = Callable[[], Mapping[str, NDArray[np.float64]]]


def allowed_outputs(schema: Schema) -> tuple[str, ...]:
    """The values of `output` that fit the task."""
    if schema.task == "regression":
        return ("predictions", "models")
    return OUTPUTS if schema.task == "binary" else tuple(name for name in OUTPUTS if name != "probability")


def default_output(schema: Schema, trained_with: str) -> str:
    """What an answer holds that nobody asked for otherwise.

    Raises:
        UserError: an ENSEMBLE_OUTPUT that the model cannot give.
    """
    return outputs.default_output("ENSEMBLE_OUTPUT", allowed_outputs(schema), trained_with)


def choose_output(accept: str, schema: Schema, default: str) -> tuple[MediaType, str]:
    """The type of an answer and what it holds.

    Raises:
        RequestError: 406 for an unknown type, 400 for an output that the model cannot give.
    """
    return outputs.choose_output(accept, allowed_outputs(schema), default)


def answer_columns(
    schema: Schema, output: str, blended: NDArray[np.float64], each: Each
) -> dict[str, NDArray[Any]]:
    """The columns of an answer, by name.

    Args:
        schema: of the model.
        output: one of `allowed_outputs`.
        blended: shape (rows,), or (rows, classes) of probabilities.
        each: every single model's prediction; asked for `models` only.
    """
    if schema.task == "regression":
        single = {"prediction": blended}
        return {**single, **each()} if output == "models" else single
    if output == "probability":
        return {"probability": blended[:, 1]}
    if output == "probabilities":
        return {str(name): np.ascontiguousarray(blended[:, code]) for code, name in enumerate(schema.classes)}
    labels = {"label": _labels(schema, blended)}
    if output == "models":
        labels |= {name: _labels(schema, found) for name, found in each().items()}
    return labels


def _labels(schema: Schema, probabilities: NDArray[np.float64]) -> NDArray[Any]:
    kinds = {type(name) for name in schema.classes}
    classes = np.array(schema.classes, dtype=object if str in kinds else None)
    chosen: NDArray[Any] = classes[probabilities.argmax(axis=1)]
    return chosen
