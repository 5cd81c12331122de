"""The ensemble as ONNX graphs: the whole of it, and the parts around trees that are summed elsewhere.

rows --prepare--> columns --trees--> sums --head--> prediction
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from opt_ml_ensemble.blending import FLOOR, TIE_BREAK
from opt_ml_ensemble.compiled.blocks import Block, blocks_of
from opt_ml_ensemble.compiled.columns import Columns
from opt_ml_ensemble.compiled.ensemble import Ensemble, Meta
from opt_ml_ensemble.compiled.scores import LEAF, LinearTerm, NotCompilable

_OPSET, _TREE_OPSET, _IR = 18, 3, 9  # what every ONNX Runtime since 1.16 reads
_TREE_DOMAIN = "ai.onnx.ml"


def whole_graph(ensemble: Ensemble) -> bytes:
    """`rows`, float32 of shape (n, matrix columns), to `prediction`, float64 as of `Bundle.predict`."""
    graph = _Graph({"rows": ensemble.columns.n_features})
    columns = _prepare(graph, ensemble.columns)
    blocks = blocks_of(ensemble)
    sums = {block.name: _trees(graph, block, columns) for block in blocks if block.width}
    return graph.finish(_head(graph, ensemble, blocks, columns, sums), "prediction", TensorProto.DOUBLE)


def prepare_graph(ensemble: Ensemble) -> bytes:
    """`rows` to `columns`: the matrix and the derived columns, float32."""
    graph = _Graph({"rows": ensemble.columns.n_features})
    return graph.finish(_prepare(graph, ensemble.columns), "columns", TensorProto.FLOAT)


def head_graph(ensemble: Ensemble) -> bytes:
    """`columns` and `sums`, float32 of shape (n, columns of all blocks), to `prediction`."""
    blocks = blocks_of(ensemble)
    width = sum(block.width for block in blocks)
    graph = _Graph({"columns": len(ensemble.columns.order), "sums": width})
    sums = {}
    for block in blocks:
        if block.width:
            places = np.arange(block.start, block.start + block.width)
            sums[block.name] = (
                "sums"
                if block.width == width
                else graph.add("Gather", "sums", graph.constant(places), axis=1)
            )
    return graph.finish(_head(graph, ensemble, blocks, "columns", sums), "prediction", TensorProto.DOUBLE)


class _Graph:
    """A graph that grows node by node; each has one output."""

    def __init__(self, inputs: Mapping[str, int]) -> None:
        self._inputs = inputs
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def add(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """The name of the output of a new node."""
        output = f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], domain=domain, **attributes))
        return output

    def constant(self, values: NDArray[Any] | float | Sequence[float]) -> str:
        """The name of a new constant; a Python number is float64."""
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def double(self, name: str) -> str:
        """The same in float64."""
        return self.add("Cast", name, to=TensorProto.DOUBLE)

    def finish(self, name: str, output: str, kind: int) -> bytes:
        """The graph, with one output."""
        self._nodes.append(helper.make_node("Identity", [name], [output]))
        inputs = [
            helper.make_tensor_value_info(one, TensorProto.FLOAT, ["n", width])
            for one, width in self._inputs.items()
        ]
        result = helper.make_tensor_value_info(output, kind, None)
        graph = helper.make_graph(self._nodes, "ensemble", inputs, [result], self._constants)
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_TREE_DOMAIN, _TREE_OPSET)]
        content: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=_IR).SerializeToString()
        return content


def _prepare(graph: _Graph, columns: Columns) -> str:
    """The matrix, followed by every derived column in the order of `Columns.order`."""
    parts = ["rows"]
    for position, tables in columns.by_code.items():
        code = graph.add("Gather", "rows", graph.constant(np.array(position)), axis=1)
        missing = graph.constant(np.array(columns.n_codes[position], dtype=np.float32))
        known = graph.add("Where", graph.add("IsNaN", code), missing, code)
        row = graph.add("Cast", known, to=TensorProto.INT64)
        parts.append(graph.add("Gather", graph.constant(np.stack(tables, axis=1)), row, axis=0))
    if columns.combinations:
        parts.append(_combined(graph, columns))
    return parts[0] if len(parts) == 1 else graph.add("Concat", *parts, axis=1)


def _combined(graph: _Graph, columns: Columns) -> str:
    """The derived columns that are looked up by several columns: a number of them all, then one Gather."""
    elements = list(dict.fromkeys(element for one in columns.combinations for element in one.elements))
    place = {element: index for index, element in enumerate(elements)}
    strides = np.zeros((len(elements), len(columns.combinations)))
    for number, one in enumerate(columns.combinations):
        for element, stride in zip(one.elements, one.strides, strict=True):
            strides[place[element], number] = stride
    starts = np.cumsum([0, *(len(one.values) for one in columns.combinations[:-1])]).astype(np.float64)
    positions = np.array([element.position for element in elements], dtype=np.int64)
    values = graph.add("Gather", "rows", graph.constant(positions), axis=1)
    is_code = np.array([element.border is None for element in elements])
    borders = np.array([element.border or 0.0 for element in elements], dtype=np.float32)
    above = graph.add("Cast", graph.add("Greater", values, graph.constant(borders)), to=TensorProto.FLOAT)
    known = graph.add("Where", graph.constant(is_code), values, above)
    missing = graph.constant(np.array([element.missing for element in elements], dtype=np.float32))
    found = graph.double(graph.add("Where", graph.add("IsNaN", values), missing, known))
    numbers = graph.add("Add", graph.add("MatMul", found, graph.constant(strides)), graph.constant(starts))
    table = graph.constant(np.concatenate([one.values for one in columns.combinations]))
    return graph.add("Gather", table, graph.add("Cast", numbers, to=TensorProto.INT64), axis=0)


def _trees(graph: _Graph, block: Block, columns: str) -> str:
    """The sums of a block, float32 of shape (n, width)."""
    trees = block.trees
    sizes = [len(tree) for tree in trees]
    numbers = np.repeat(np.arange(len(trees)), sizes)
    nodes = np.concatenate([np.arange(size) for size in sizes])
    feature = np.concatenate([tree.feature for tree in trees])
    is_leaf = feature == LEAF

    def joined(name: str) -> NDArray[Any]:
        found = np.concatenate([getattr(tree, name) for tree in trees])
        return np.where(is_leaf, 0, found)

    leaves = [np.flatnonzero(tree.feature == LEAF) for tree in trees]
    outputs = [tree.value.shape[1] for tree in trees]
    return graph.add(
        "TreeEnsembleRegressor",
        columns,
        domain=_TREE_DOMAIN,
        n_targets=block.width,
        nodes_treeids=numbers.tolist(),
        nodes_nodeids=nodes.tolist(),
        nodes_featureids=np.where(is_leaf, 0, feature).tolist(),
        # All in one mode: ONNX Runtime looks at it once for all trees then, not at every node.
        nodes_modes=np.where(is_leaf, "LEAF", "BRANCH_LEQ").tolist(),
        nodes_values=joined("threshold").tolist(),
        nodes_truenodeids=joined("left").tolist(),
        nodes_falsenodeids=joined("right").tolist(),
        nodes_missing_value_tracks_true=joined("missing_left").astype(int).tolist(),
        target_treeids=np.repeat(
            np.arange(len(trees)), [len(found) * width for found, width in zip(leaves, outputs, strict=True)]
        ).tolist(),
        target_nodeids=np.concatenate(
            [np.repeat(found, width) for found, width in zip(leaves, outputs, strict=True)]
        ).tolist(),
        target_ids=np.concatenate(
            [
                np.tile(np.arange(tree.column, tree.column + width), len(found))
                for tree, found, width in zip(trees, leaves, outputs, strict=True)
            ]
        ).tolist(),
        target_weights=np.concatenate(
            [tree.value[found].reshape(-1) for tree, found in zip(trees, leaves, strict=True)]
        ).tolist(),
    )


def _head(
    graph: _Graph, ensemble: Ensemble, blocks: Sequence[Block], columns: str, sums: Mapping[str, str]
) -> str:
    """From the sums to the prediction, in float64."""
    found = {block.name: _model(graph, ensemble, block, columns, sums.get(block.name)) for block in blocks}
    if ensemble.task == "regression":
        return graph.add("Reshape", next(iter(found.values())), graph.constant(np.array([-1])))
    if ensemble.meta is not None:
        return _stacked(graph, ensemble, ensemble.meta, list(found.values()))
    mean = _sum(
        graph, [graph.add("Mul", found[name], graph.constant(ensemble.weights[name])) for name in found]
    )
    if ensemble.kind != "vote":
        return mean
    codes = graph.constant(np.arange(ensemble.n_classes))
    chosen = [graph.add("ArgMax", one, axis=1, keepdims=1) for one in found.values()]
    votes = _sum(graph, [graph.double(graph.add("Equal", one, codes)) for one in chosen])
    share = graph.add("Mul", votes, graph.constant(1.0 / len(found)))
    broken = graph.add("Add", share, graph.add("Mul", mean, graph.constant(TIE_BREAK)))
    return graph.add("Div", broken, graph.constant(1.0 + TIE_BREAK))


def _model(graph: _Graph, ensemble: Ensemble, block: Block, columns: str, sums: str | None) -> str:
    """A model's prediction: (n, 1) or (n, classes)."""
    scores = block.scores
    if sums is None and scores.linear is None:
        raise NotCompilable(f"{block.name}: its prediction is the same for every row")
    parts = [] if sums is None else [graph.double(sums)]
    if scores.linear is not None:
        parts.append(_linear(graph, scores.linear, columns))
    found = graph.add("Add", _sum(graph, parts), graph.constant(scores.constant))
    return _linked(graph, found, scores.link, scores.classes, ensemble.n_classes)


def _linear(graph: _Graph, term: LinearTerm, columns: str) -> str:
    values = graph.double(graph.add("Gather", columns, graph.constant(np.array(term.columns)), axis=1))
    filled = graph.add("Where", graph.add("IsNaN", values), graph.constant(term.fill), values)
    centred = graph.add("Sub", filled, graph.constant(term.centre))
    return graph.add("MatMul", centred, graph.constant(term.coefficients))


def _linked(graph: _Graph, found: str, link: str, classes: Sequence[int], n_classes: int) -> str:
    if link == "sigmoid":
        positive = graph.add("Sigmoid", found)
        found = graph.add("Concat", graph.add("Sub", graph.constant(1.0), positive), positive, axis=1)
    elif link == "softmax":
        found = graph.add("Softmax", found, axis=1)
    if not classes or len(classes) == n_classes:
        return found
    # A class that training had no row of gets 0.
    return graph.add("MatMul", found, graph.constant(np.eye(n_classes)[list(classes)]))


def _stacked(graph: _Graph, ensemble: Ensemble, meta: Meta, found: Sequence[str]) -> str:
    """See `blending`: the linear estimator takes the logits of two classes, the logarithms of more."""
    inputs = []
    for one in found:
        clipped = graph.add("Clip", one, graph.constant(FLOOR), graph.constant(1.0 - FLOOR))
        if ensemble.task == "binary":
            positive = graph.add("Gather", clipped, graph.constant(np.array([1])), axis=1)
            odds = graph.add("Div", positive, graph.add("Sub", graph.constant(1.0), positive))
            inputs.append(graph.add("Log", odds))
        else:
            inputs.append(graph.add("Log", clipped))
    joined = inputs[0] if len(inputs) == 1 else graph.add("Concat", *inputs, axis=1)
    product = graph.add("MatMul", joined, graph.constant(meta.coefficients))
    score = graph.add("Add", product, graph.constant(meta.constant))
    link = "sigmoid" if len(meta.constant) == 1 else "softmax"
    return _linked(graph, score, link, meta.classes, ensemble.n_classes)


def _sum(graph: _Graph, parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else graph.add("Sum", *parts)
