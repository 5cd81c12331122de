"""CatBoost's symmetric trees, from its JSON; its target statistics as tables."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opt_ml_ensemble.compiled.columns import MOST_CELLS, Columns, Combination, Element
from opt_ml_ensemble.compiled.scores import LEAF, MOST_NODES, Link, NotCompilable, Scores, Tree
from opt_ml_ensemble.models.catboost_model import CatBoostModel

_MULTIPLIER = 0x4906BA494954CB65
_WORD = (1 << 64) - 1


@dataclass(frozen=True)
class _Split:
    """A row goes right where the column `number` is above the border."""

    number: int
    border: np.float32
    missing_left: bool


def catboost_scores(model: CatBoostModel, columns: Columns) -> Scores:
    """The scores of a model; see `Scores`.

    Raises:
        NotCompilable: too many leaves, or too large tables of categories.
    """
    content = json.loads(model.json(columns.n_codes))
    trees = content["oblivious_trees"]
    leaves = sum(1 << len(tree["splits"] or ()) for tree in trees)
    if leaves > MOST_NODES:
        raise NotCompilable(f"its trees have {leaves} leaves, more than {MOST_NODES}")
    split_of = _Splits(content, model, columns)
    scale, bias = content["scale_and_bias"]
    width = len(bias)
    built = [
        _tree(
            [split_of(split) for split in tree["splits"] or ()],
            scale * np.array(tree["leaf_values"], dtype=np.float64).reshape(-1, width),
        )
        for tree in trees
    ]
    problem = model.problem
    link: Link = "identity"
    if problem.task != "regression":
        link = "sigmoid" if width == 1 else "softmax"
    return Scores(built, np.array(bias, dtype=np.float64), link, classes=tuple(range(problem.n_classes)))


def _tree(splits: Sequence[_Split], values: NDArray[np.float64]) -> Tree:
    """A symmetric tree as a common one, without the branches that no row can take."""
    nodes: list[tuple[int, np.float32, bool, int, int, int]] = []

    def grow(level: int, leaf: int, above: Mapping[int, float], upto: Mapping[int, float]) -> int:
        while level >= 0:
            split = splits[level]
            if split.border <= above.get(split.number, -np.inf):
                leaf |= 1 << level
            elif split.border < upto.get(split.number, np.inf):
                break
            level -= 1
        place = len(nodes)
        nodes.append((LEAF, np.float32(0), False, 0, 0, leaf))
        if level >= 0:
            left = grow(level - 1, leaf, above, {**upto, split.number: float(split.border)})
            right = grow(level - 1, leaf | 1 << level, {**above, split.number: float(split.border)}, upto)
            nodes[place] = (split.number, split.border, split.missing_left, left, right, leaf)
        return place

    grow(len(splits) - 1, 0, {}, {})
    feature, threshold, missing_left, left, right, leaf = zip(*nodes, strict=True)
    is_leaf = np.array(feature) == LEAF
    return Tree(
        np.array(feature, dtype=np.int64),
        np.array(threshold, dtype=np.float32),
        np.array(missing_left, dtype=bool),
        np.array(left, dtype=np.int64),
        np.array(right, dtype=np.int64),
        np.where(is_leaf[:, None], values[list(leaf)], 0.0),
    )


class _Splits:
    """From a split in CatBoost's JSON to the column and the border that it compares."""

    def __init__(self, content: Mapping[str, Any], model: CatBoostModel, columns: Columns) -> None:
        features = content["features_info"]
        self._columns = columns
        self._numeric, self._categorical = model.numeric, model.categorical
        # A NaN is not above any border, unless the model says so.
        self._missing_left = {
            feature["feature_index"]: feature["nan_value_treatment"] != "AsTrue"
            for feature in features.get("float_features") or ()
        }
        self._hashes = _code_hashes(features, columns, self._categorical)
        before = sum(len(feature["borders"] or ()) for feature in features.get("float_features") or ())
        before += sum(
            len(feature.get("values") or ()) for feature in features.get("categorical_features") or ()
        )
        # Statistics are named by their splits' numbers, which go on after those of numbers and one-hot.
        borders = [(ctr, border) for ctr in features.get("ctrs") or () for border in ctr["borders"]]
        self._statistics = {before + place: ctr for place, (ctr, _) in enumerate(borders)}
        self._data = content.get("ctr_data") or {}
        self._made: dict[str, int] = {}

    def __call__(self, split: Mapping[str, Any]) -> _Split:
        kind = split["split_type"]
        if kind == "FloatFeature":
            index = split["float_feature_index"]
            return _Split(self._numeric[index], np.float32(split["border"]), self._missing_left[index])
        if kind == "OneHotFeature":
            position = self._categorical[split["cat_feature_index"]]
            is_it = self._hashes[position] == split["value"]
            return _Split(self._columns.of_codes(position, is_it), np.float32(0.5), True)
        if kind != "OnlineCtr":
            raise NotCompilable(f"it has a split of the unknown kind {kind}")
        statistic = self._statistics[split["split_index"]]
        key = json.dumps([statistic, statistic["identifier"]], sort_keys=True)
        if key not in self._made:
            self._made[key] = self._make(statistic)
        return _Split(self._made[key], np.float32(split["border"]), True)

    def _make(self, statistic: Mapping[str, Any]) -> int:
        """The column of a target statistic."""
        elements, hashes = [], []
        for part in statistic["elements"]:
            element, words = self._element(part)
            elements.append(element)
            hashes.append(words)
        cells = math.prod(len(words) for words in hashes)
        if cells > MOST_CELLS:
            raise NotCompilable(f"a statistic of {len(elements)} columns has {cells} cells")
        value = _formula(statistic, self._data[statistic["identifier"]])
        values = np.array([value(_hash(key)) for key in itertools.product(*hashes)], dtype=np.float32)
        if len(elements) == 1 and elements[0].border is None:
            return self._columns.of_codes(elements[0].position, values)
        sizes = [len(words) for words in hashes]
        strides = tuple(math.prod(sizes[place + 1 :]) for place in range(len(sizes)))
        return self._columns.of_combination(Combination(tuple(elements), strides, values))

    def _element(self, part: Mapping[str, Any]) -> tuple[Element, list[int]]:
        """A column of a combination, and by its element the word that goes into the hash."""
        kind = part["combination_element"]
        if kind == "float_feature":
            index = part["float_feature_index"]
            missing = 0 if self._missing_left[index] else 1
            return Element(self._numeric[index], float(np.float32(part["border"])), missing), [0, 1]
        position = self._categorical[part["cat_feature_index"]]
        codes = self._columns.n_codes[position]
        hashes = self._hashes[position]
        if kind == "cat_feature_exact_value":
            words = [int(found == part["value"]) for found in hashes]
        elif kind == "cat_feature_value":
            words = [int(found) & _WORD for found in hashes]  # a negative one is extended to 64 bits
        else:
            raise NotCompilable(f"it has a statistic of the unknown kind {kind}")
        return Element(position, None, codes), words


def _code_hashes(
    features: Mapping[str, Any], columns: Columns, categorical: Sequence[int]
) -> dict[int, NDArray[np.int64]]:
    """By column, CatBoost's hash of each code's text and of the missing category's."""
    known = {
        entry["value"]: np.array(entry["hash"], dtype=np.int64).astype(np.int32)
        for entry in features.get("cat_features_hash") or ()
    }
    return {
        position: np.array(
            [known[text] for text in [*map(str, range(columns.n_codes[position])), ""]], dtype=np.int64
        )
        for position in categorical
    }


def _hash(words: Sequence[int]) -> int:
    found = 0
    for word in words:
        found = (_MULTIPLIER * ((found + _MULTIPLIER * word) & _WORD)) & _WORD
    return found


def _formula(statistic: Mapping[str, Any], data: Mapping[str, Any]) -> Callable[[int], np.float32]:
    """From the hash of a combination of categories to its statistic, in CatBoost's own float32."""
    stride = data["hash_stride"]
    table = data["hash_map"]
    counts: dict[int, list[float]] = {
        int(table[start]): table[start + 1 : start + stride] for start in range(0, len(table), stride)
    }
    kind, target = statistic["ctr_type"], statistic["target_border_idx"]
    prior, denominator = (np.float32(statistic[name]) for name in ("prior_numerator", "prior_denomerator"))
    shift, scale = np.float32(statistic["shift"]), np.float32(statistic["scale"])

    def pair(found: Sequence[float] | None) -> tuple[float, float]:
        if kind in ("Counter", "FeatureFreq"):
            return (0 if found is None else found[0]), data["counter_denominator"]
        if found is None:
            return 0, 0
        if kind in ("BinarizedTargetMeanValue", "FloatTargetMeanValue"):
            return found[0], found[1]
        if kind == "Buckets":
            return found[target], sum(found)
        if kind == "Borders":
            return sum(found[target + 1 :]), sum(found)
        raise NotCompilable(f"it has statistics of the unknown kind {kind}")

    def value(key: int) -> np.float32:
        good, total = pair(counts.get(key))
        return ((np.float32(good) + prior) / (np.float32(total) + denominator) + shift) * scale

    return value
