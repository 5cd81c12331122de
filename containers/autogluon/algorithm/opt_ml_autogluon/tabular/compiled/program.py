"""The whole of a predictor on arrays, with the proof that it says the same as AutoGluon."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from autogluon.tabular import TabularPredictor
from numpy.typing import NDArray

from opt_ml_autogluon.tabular.columns import Columns, Values
from opt_ml_autogluon.tabular.compiled.features import ColumnFeatures, FrameFeatures
from opt_ml_autogluon.tabular.compiled.layout import Unsupported
from opt_ml_autogluon.tabular.compiled.models import AsFitted, Node, compile_model
from opt_ml_autogluon.tabular.compiled.proof import check_same, sample_rows

BLOCK = 2048  # rows at once: encoded categories are a column each, and would take gigabytes for many rows


class Program:
    """A predictor's best model, and all that it is made of.

    What cannot be compiled, or says something else than AutoGluon on the rows of the proof, is left to
    AutoGluon, with a line in the log that says why.

    Args:
        predictor: with its models in memory.
        columns: of the requests.
        background: rows of the training, or None where the model has none.

    Raises:
        Unsupported: nothing of it can be compiled.
    """

    def __init__(self, predictor: TabularPredictor, columns: Columns, background: Values | None) -> None:
        self._learner = predictor._learner
        self._trainer = self._learner.load_trainer()
        self._best = self._trainer._get_best()
        sample = sample_rows(columns, background)
        by_frame = FrameFeatures(self._learner.transform_features, columns, sample)
        rows = by_frame.rows(sample)
        self._features: ColumnFeatures | FrameFeatures = by_frame
        try:
            by_column = ColumnFeatures(self._learner.feature_generators, columns)
            check_same(by_column.rows(sample).matrix, rows.matrix, "the features")
            self._features = by_column
        except Unsupported as reason:
            _tell(f"AutoGluon makes the features: {reason}.")
        expected = self._trainer.get_model_pred_proba_dict(rows.frame, models=[self._best])
        self._nodes: dict[str, Node] = {}
        for name in self._trainer._construct_model_pred_order([self._best]):
            self._nodes[name] = self._node(name, rows, expected)
        if all(isinstance(node, AsFitted) for node in self._nodes.values()):
            raise Unsupported("no model of the predictor can be compiled")
        check_same(self.predict(sample), self._ended(expected[self._best]), "the whole")

    def predict(self, values: Values) -> NDArray[Any]:
        """Probabilities by class, quantiles by level, or numbers.

        Returns:
            shape (rows, classes or levels), or (rows,) of a regression.
        """
        starts = range(0, len(values.numbers), BLOCK)
        if len(starts) <= 1:
            return self._predict(values)
        return np.concatenate([self._predict(values.part(slice(at, at + BLOCK))) for at in starts])

    def _predict(self, values: Values) -> NDArray[Any]:
        rows = self._features.rows(values)
        found: dict[str, NDArray[Any]] = {}
        for name, node in self._nodes.items():
            found[name] = node(rows, found)
        return self._ended(found[self._best])

    def _node(self, name: str, rows: Any, expected: dict[str, NDArray[Any]]) -> Node:
        model = self._trainer.load_model(name)
        try:
            node = compile_model(model, self._features.layout)
            check_same(node(rows, expected), expected[name], "its predictions")
        except Unsupported as reason:
            _tell(f"AutoGluon predicts with {name}: {reason}.")
        except Exception as error:  # of a part that another version of a library has not
            _tell(f"AutoGluon predicts with {name}: {type(error).__name__}: {error}")
        else:
            return node
        return AsFitted(model)

    def _ended(self, found: NDArray[Any]) -> NDArray[Any]:
        """With the classes of the training."""
        ended: NDArray[Any] = self._learner._post_process_predict_proba(found, as_pandas=False)
        return ended


def compile_predictor(
    predictor: TabularPredictor, columns: Columns, background: Values | None
) -> Program | None:
    """See `Program`; None, with a line in the log, where AutoGluon is to predict itself."""
    try:
        return Program(predictor, columns, background)
    except Unsupported as reason:
        _tell(f"AutoGluon predicts: {reason}.")
    except Exception as error:  # such as of AutoGluon itself for an awkward row
        _tell(f"AutoGluon predicts: {type(error).__name__}: {error}")
    return None


def _tell(cause: str) -> None:
    print(f"Not compiled, so slower: {cause}", file=sys.stderr, flush=True)
