"""XGBoost's trees, from its JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opt_ml_ensemble.compiled.columns import Columns
from opt_ml_ensemble.compiled.scores import LEAF, Scores, Tree
from opt_ml_ensemble.models.xgboost_model import XGBoostModel


def xgboost_scores(model: XGBoostModel, columns: Columns) -> Scores:
    """The scores of a model; see `Scores`.

    Raises:
        NotCompilable: too large tables of categories.
    """
    content = json.loads(model.raw("json"))["learner"]
    inner = content["gradient_booster"]["model"]
    base = np.atleast_1d(json.loads(content["learner_model_param"]["base_score"])).astype(np.float64)
    problem = model.problem
    width = problem.n_classes if problem.task == "multiclass" else 1
    if problem.task == "binary":
        base = np.log(base / (1.0 - base))  # it is kept as a probability
    trees = [
        _tree(tree, column, columns) for tree, column in zip(inner["trees"], inner["tree_info"], strict=True)
    ]
    link = {"regression": "identity", "binary": "sigmoid", "multiclass": "softmax"}[problem.task]
    return Scores(
        trees,
        np.broadcast_to(base, (width,)).copy(),
        link,  # type: ignore[arg-type]
        classes=tuple(range(problem.n_classes)),
    )


def _tree(content: dict[str, Any], column: int, columns: Columns) -> Tree:
    left = np.array(content["left_children"], dtype=np.int64)
    is_leaf = left == -1
    conditions = np.array(content["split_conditions"], dtype=np.float32)
    feature = np.where(is_leaf, LEAF, np.array(content["split_indices"], dtype=np.int64))
    # It goes left where x < condition.
    threshold = np.nextafter(conditions, np.float32(-np.inf))
    missing_left = np.array(content["default_left"], dtype=bool)
    for node, start, size in zip(
        content["categories_nodes"], content["categories_segments"], content["categories_sizes"], strict=True
    ):
        goes_right = content["categories"][start : start + size]
        position = int(feature[node])
        feature[node] = columns.of_codes(
            position, _asks(columns.n_codes[position], goes_right, bool(missing_left[node]))
        )
        threshold[node] = 0.5
    return Tree(
        feature,
        threshold,
        missing_left,
        left,
        np.array(content["right_children"], dtype=np.int64),
        np.where(is_leaf, conditions, 0.0).astype(np.float64)[:, None],
        column,
    )


def _asks(codes: int, goes_right: list[int], missing_left: bool) -> NDArray[np.float32]:
    """By code, and for a missing one at the end: 1 where a row goes right."""
    table = np.zeros(codes + 1, dtype=np.float32)
    table[[code for code in goes_right if code < codes]] = 1.0
    table[codes] = 0.0 if missing_left else 1.0
    return table
