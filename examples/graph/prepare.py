"""Writes graphs of readers into DIRECTORY: train/, where the kind of a tenth is known, and held-out/.

    python3 examples/graph/prepare.py DIRECTORY

Readers of three kinds mostly know readers of their own. What is known of each says little about its kind, so
that a model needs the neighbours. What is held out is another graph, as a request.
"""

from __future__ import annotations

import csv
import json
import random
import sys
from pathlib import Path

KINDS, FEATURES = 3, 6
READERS, NEW_READERS = 900, 300
FRIENDS = 6  # that each reader names
LOYALTY = 0.85  # share of them that are of its own kind
LABELLED = 0.1


def main(directory: Path) -> None:
    """Write the nodes, the edges, and a graph of others to ask about."""
    source = random.Random(5)  # noqa: S311 - the same graph each time
    for part in ("train", "held-out"):
        (directory / part).mkdir(parents=True, exist_ok=True)
    kinds, features, edges = graph(source, READERS)
    nodes = [
        (*values, kind if source.random() < LABELLED else "")
        for values, kind in zip(features, kinds, strict=True)
    ]
    header = (*(f"f{number}" for number in range(FEATURES)), "kind")
    write(directory / "train" / "nodes.csv", [header, *nodes])
    write(directory / "train" / "edges.csv", [("from", "to"), *edges])
    kinds, features, edges = graph(source, NEW_READERS)
    request = {"inputs": {"features": features, "edges": edges}}
    (directory / "held-out" / "graph.json").write_text(json.dumps(request), encoding="utf-8")
    (directory / "held-out" / "kinds.json").write_text(json.dumps(kinds), encoding="utf-8")


def graph(source: random.Random, count: int) -> tuple[list[int], list[list[float]], list[tuple[int, int]]]:
    """The kind of each node, its features, and the edges as pairs of places."""
    kinds = [source.randrange(KINDS) for _ in range(count)]
    features = [
        [round(source.gauss(0.5 if number % KINDS == kind else 0.0, 1.0), 3) for number in range(FEATURES)]
        for kind in kinds
    ]
    own = [[node for node in range(count) if kinds[node] == kind] for kind in range(KINDS)]
    edges = [
        (node, source.choice(own[kinds[node]]) if source.random() < LOYALTY else source.randrange(count))
        for node in range(count)
        for _ in range(FRIENDS)
    ]
    return kinds, features, [(first, second) for first, second in edges if first != second]


def write(path: Path, rows: list[tuple[object, ...]]) -> None:
    """A CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
