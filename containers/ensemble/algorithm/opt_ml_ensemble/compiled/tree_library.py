"""All trees of the ensemble as one XGBoost model, whoever grew them.

XGBoost's predictor takes 64 rows through a tree at a time, which no ONNX Runtime does: it needs 0.1 to 0.2 ms
for a first row, but a third of the time for a hundred. Serving calls it without its Python package, which
imports scikit-learn (see `evaluator`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import xgboost

from opt_ml_ensemble.compiled.blocks import blocks_of
from opt_ml_ensemble.compiled.ensemble import Ensemble
from opt_ml_ensemble.compiled.scores import LEAF, NotCompilable, Tree

MOST_NODES = 400_000
_NO_PARENT = 2**31 - 1


def tree_model(ensemble: Ensemble) -> bytes:
    """UBJSON of a model whose margins are the sums of `blocks_of`, one group a column.

    Raises:
        NotCompilable: no tree, or too many nodes; a tree with several outputs is one tree for each here.
    """
    blocks = blocks_of(ensemble)
    width = sum(block.width for block in blocks)
    if not width:
        raise NotCompilable("there is no tree")
    n_columns = len(ensemble.columns.order)
    placed = [
        (block.start + tree.column + output, _content(_siblings(tree), output, n_columns))
        for block in blocks
        for tree, output in _single(block.trees)
    ]
    if sum(len(content["parents"]) for _, content in placed) > MOST_NODES:
        raise NotCompilable("too many nodes for one tree a class")
    model = _empty(width, n_columns)
    inner = model["learner"]["gradient_booster"]["model"]
    inner["trees"] = [{**content, "id": number} for number, (_, content) in enumerate(placed)]
    inner["tree_info"] = [column for column, _ in placed]
    inner["iteration_indptr"] = [0, len(placed)]
    inner["gbtree_model_param"] |= {"num_trees": str(len(placed)), "num_parallel_tree": "1"}
    booster = xgboost.Booster(model_file=bytearray(json.dumps(model).encode()))
    return bytes(booster.save_raw("ubj"))


def _single(trees: Sequence[Tree]) -> Iterator[tuple[Tree, int]]:
    """Each tree with each output that it adds to."""
    for tree in trees:
        for output in range(tree.value.shape[1]):
            if tree.value[:, output].any() or tree.value.shape[1] == 1:
                yield tree, output


def _siblings(tree: Tree) -> Tree:
    """The same tree, level by level: XGBoost takes the right child to stand behind the left one."""
    levels = [np.zeros(1, dtype=np.int64)]
    while len(levels[-1]):
        inside = levels[-1][tree.feature[levels[-1]] != LEAF]
        levels.append(np.stack([tree.left[inside], tree.right[inside]], axis=1).reshape(-1))
    order = np.concatenate(levels)
    place = np.empty(len(tree), dtype=np.int64)
    place[order] = np.arange(len(order))
    return Tree(
        tree.feature[order],
        tree.threshold[order],
        tree.missing_left[order],
        place[tree.left[order]],
        place[tree.right[order]],
        tree.value[order],
        tree.column,
    )


def _empty(width: int, n_columns: int) -> Any:
    """A model without trees, in the words of this version of XGBoost."""
    one = {"objective": "reg:squarederror"}
    several = {"objective": "multi:softprob", "num_class": width}
    options = {"base_score": 0.0, "tree_method": "hist", **(one if width == 1 else several)}
    nothing = xgboost.DMatrix(
        np.zeros((width + 1, n_columns), dtype=np.float32), np.arange(width + 1) % width
    )
    return json.loads(xgboost.train(options, nothing, num_boost_round=0).save_raw("json"))


def _content(tree: Tree, output: int, n_columns: int) -> dict[str, Any]:
    is_leaf = tree.feature == LEAF
    count = len(tree)
    parents = np.full(count, _NO_PARENT)
    inside = np.flatnonzero(~is_leaf)
    parents[tree.left[inside]] = inside
    parents[tree.right[inside]] = inside
    # XGBoost asks x < condition. Above the largest float32 there is nothing to ask for.
    most = np.finfo(np.float32).max
    conditions = np.minimum(np.nextafter(tree.threshold, np.float32(np.inf)), most)
    return {
        "base_weights": [0.0] * count,
        "categories": [],
        "categories_nodes": [],
        "categories_segments": [],
        "categories_sizes": [],
        "default_left": np.where(is_leaf, 0, tree.missing_left).astype(int).tolist(),
        "left_children": np.where(is_leaf, -1, tree.left).tolist(),
        "right_children": np.where(is_leaf, -1, tree.right).tolist(),
        "loss_changes": [0.0] * count,
        "parents": parents.tolist(),
        "split_conditions": np.where(is_leaf, tree.value[:, output], conditions.astype(np.float64)).tolist(),
        "split_indices": np.where(is_leaf, 0, tree.feature).tolist(),
        "split_type": [0] * count,
        "sum_hessian": [1.0] * count,
        "tree_param": {
            "num_deleted": "0",
            "num_feature": str(n_columns),
            "num_nodes": str(count),
            "size_leaf_vector": "1",
        },
    }
