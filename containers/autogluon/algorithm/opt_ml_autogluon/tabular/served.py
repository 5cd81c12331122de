"""A loaded predictor, and what answers are made of: predictions for the rows of several requests at once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
from autogluon.tabular import TabularPredictor
from numpy.typing import NDArray
from opt_ml.resources import threads_of_worker

from opt_ml_autogluon.tabular.columns import Columns, Values
from opt_ml_autogluon.tabular.compiled.program import Program


@dataclass(frozen=True)
class Served:
    """A loaded model.

    Attributes:
        outputs: the values of `output` that it can give.
        output: what an answer holds that nobody asked for otherwise.
        background: rows of the training that explanations compare with; None for a model without them.
        program: the predictor on arrays; None where AutoGluon predicts itself.
    """

    predictor: TabularPredictor
    columns: Columns
    outputs: tuple[str, ...]
    output: str
    background: Values | None = None
    program: Program | None = None

    @cached_property
    def names(self) -> list[Any]:
        """Of the columns of a prediction: classes, levels of quantiles, or the one of a regression."""
        if self.predictor.can_predict_proba:
            return list(self.predictor.class_labels)
        levels: list[Any] | None = self.predictor.quantile_levels
        return ["prediction"] if levels is None else list(levels)

    def predict(self, values: Values) -> NDArray[Any]:
        """Probabilities by class, quantiles by level, or numbers: shape (rows, names)."""
        if self.program is not None:
            found = self.program.predict(values)
        else:
            predictor, frame = self.predictor, self.columns.frame(values)
            predict = predictor.predict_proba if predictor.can_predict_proba else predictor.predict
            found = np.asarray(predict(frame))
        return found.reshape(-1, len(self.names))

    def labels(self, probabilities: NDArray[Any]) -> NDArray[Any]:
        """The class of each row, of two by the threshold that AutoGluon has found."""
        if self.predictor.problem_type == "binary":
            chosen = (probabilities[:, 1] > self.predictor.decision_threshold).astype(np.int64)
        else:
            chosen = probabilities.argmax(axis=1)
        labels: NDArray[Any] = self._classes[chosen]
        return labels

    @cached_property
    def _classes(self) -> NDArray[Any]:
        return np.asarray(pd.Series(self.names))


class Joined:
    """The predictions for the rows of several requests; what their answers hold is made once for all."""

    def __init__(self, served: Served, values: Values) -> None:
        self.served = served
        self.values = values
        self.found = served.predict(values)
        self._made: dict[str, Mapping[str, NDArray[Any]]] = {}

    def columns(self, output: str) -> Mapping[str, NDArray[Any]]:
        """Name to values of shape (rows,), as `output` asks for them."""
        if output not in self._made:
            self._made[output] = self._make(output)
        return self._made[output]

    def _make(self, output: str) -> Mapping[str, NDArray[Any]]:
        served, found = self.served, self.found
        if output == "probability":
            return {"probability": np.ascontiguousarray(found[:, 1])}  # AutoGluon's positive class
        if output == "probabilities" or not served.predictor.can_predict_proba:
            columns = np.ascontiguousarray(found.T)
            return {str(name): column for name, column in zip(served.names, columns, strict=True)}
        return {"label": served.labels(found)}


@dataclass(frozen=True)
class Prediction:
    """What the model says of one request: these rows of the joined ones."""

    joined: Joined
    rows: slice


def join(served: Served, requests: Sequence[Values]) -> list[Prediction]:
    """One prediction a request, by one call of each model."""
    joined = Joined(served, Values(*(np.concatenate(parts) for parts in zip(*requests, strict=True))))
    ends = np.cumsum([len(values.numbers) for values in requests]).tolist()
    return [Prediction(joined, slice(start, end)) for start, end in zip([0, *ends], ends, strict=False)]


def bound_threads(predictor: TabularPredictor) -> None:
    """As many threads as a worker is to have, for models that would start one for each CPU.

    For a few rows, which joined requests are, starting them takes several times as long as the work, and
    beside other workers they wait for each other. Forests take the number from their fit; XGBoost and
    LightGBM, as AutoGluon calls them, and CatBoost take every CPU unless a call says otherwise.
    """
    number = threads_of_worker()
    for name in predictor.model_names(persisted=True):
        model = predictor._trainer.load_model(name)
        children = [model.load_child(child) for child in getattr(model, "models", [])]
        for one in (model, *children):
            estimator: Any = getattr(one, "model", None)
            if getattr(estimator, "n_jobs", None) is not None:
                estimator.n_jobs = number
            _bind(one, ("_predict_proba",), num_cpus=number)
            _bind(estimator, ("predict", "predict_proba"), thread_count=number)


def _bind(owner: Any, methods: Sequence[str], **arguments: int) -> None:
    """Give the methods of one object an argument for good, where they name it."""
    for name in methods:
        method: Callable[..., Any] | None = getattr(owner, name, None)
        if inspect.ismethod(method) and arguments.keys() <= inspect.signature(method).parameters.keys():
            setattr(owner, name, partial(method, **arguments))
