"""The columns of tree sums: which trees add to which column, whatever evaluates them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from opt_ml_ensemble.compiled.ensemble import Ensemble
from opt_ml_ensemble.compiled.scores import LEAF, LinearTerm, Scores, Tree

REGRESSION = "all"


@dataclass(frozen=True)
class Block:
    """Trees whose sums stand in neighbouring columns.

    Attributes:
        name: of the model; REGRESSION where all models are one.
        start, width: the columns; width 0 for a model without trees.
        trees: with the final positions of their columns, each adding from 0 to width.
        scores: of the model.
    """

    name: str
    start: int
    width: int
    trees: Sequence[Tree]
    scores: Scores


def blocks_of(ensemble: Ensemble) -> list[Block]:
    """One block a model.

    A blend of regressions is linear in every leaf, so that all trees are one block there, and the weights
    are part of the leaves.
    """
    order = ensemble.columns.order
    blocks: list[Block] = []
    start = 0
    for name, scores in _models(ensemble).items():
        width = scores.width if scores.trees else 0
        trees = [_placed(tree, order) for tree in scores.trees]
        linear = None if scores.linear is None else _placed_term(scores.linear, order)
        blocks.append(Block(name, start, width, trees, replace(scores, trees=(), linear=linear)))
        start += width
    return blocks


def _models(ensemble: Ensemble) -> dict[str, Scores]:
    if ensemble.task != "regression":
        return dict(ensemble.models)
    meta = ensemble.meta
    factors = (
        [ensemble.weights[name] for name in ensemble.models]
        if meta is None
        else list(meta.coefficients[:, 0])
    )
    constant = np.zeros(1) if meta is None else meta.constant
    trees: list[Tree] = []
    terms: list[LinearTerm] = []
    for factor, scores in zip(factors, ensemble.models.values(), strict=True):
        constant = constant + factor * scores.constant
        trees += [replace(tree, value=tree.value * factor) for tree in scores.trees if factor]
        if scores.linear is not None and factor:
            terms.append(replace(scores.linear, coefficients=scores.linear.coefficients * factor))
    return {REGRESSION: Scores(trees, constant, linear=terms[0] if terms else None)}


def _placed(tree: Tree, order: NDArray[np.int64]) -> Tree:
    is_leaf = tree.feature == LEAF
    return replace(tree, feature=np.where(is_leaf, LEAF, order[np.where(is_leaf, 0, tree.feature)]))


def _placed_term(term: LinearTerm, order: NDArray[np.int64]) -> LinearTerm:
    return replace(term, columns=tuple(int(order[number]) for number in term.columns))
