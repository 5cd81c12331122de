"""A compiled ensemble from its files: used only where it gives the stored native predictions again.

compiled/compiled.json   what it was made from, with which versions, how long everything took
compiled/model.onnx      the whole ensemble
compiled/rows.npz        rows with the native predictions
compiled/trees.ubj, head.onnx, prepare.onnx     the same for many rows, where that is faster; see `evaluator`
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opt_ml_ensemble.compiled.evaluator import TREES, Evaluator, Graph, TreeLibrary, trim_memory
from opt_ml_ensemble.compiled.timing import SIZES, Timings, faster_from, faster_until, measure
from opt_ml_ensemble.compiled.tolerance import difference
from opt_ml_ensemble.schema import Matrix

FORMAT = 1
DIRECTORY = "compiled"
FACTS, ROWS = "compiled.json", "rows.npz"


class Unusable(Exception):  # noqa: N818 - serving goes on without it
    """A compiled model that must not be used; the text says why."""


@dataclass(frozen=True)
class Stored:
    """Rows with the native predictions.

    Attributes:
        rows: shape (n, columns of the matrix).
        native: shape (n,) or (n, classes).
        scale: standard deviation of the predictions; see `tolerance`.
    """

    rows: Matrix
    native: NDArray[np.float64]
    scale: float

    def check(self, evaluator: Evaluator, name: str) -> float:
        """How far its predictions are from the native ones, at most 1.

        Raises:
            Unusable: further.
        """
        found = evaluator(self.rows)
        apart, row = difference(found, self.native, self.scale)
        if apart > 1:
            both = ", natively ".join(str(np.asarray(one[row]).tolist()) for one in (found, self.native))
            raise Unusable(f"{name} predicts {both[:200]} for its stored row {row + 1}")
        return apart


@dataclass(frozen=True)
class Compiled:
    """A compiled ensemble that is equal to its models.

    Attributes:
        graph: for few rows.
        trees: for `switch` rows or more; None where it is never faster.
        switch: rows.
        timings: seconds by the number of rows, on this machine, of whichever takes such a batch.
        native: seconds of the models themselves, as if on this machine.
        stored: the rows that were checked.
    """

    graph: Evaluator
    trees: Evaluator | None
    switch: int
    timings: Timings
    native: Timings
    stored: Stored

    def predict(self, matrix: Matrix) -> NDArray[np.float64]:
        """As of `Bundle.predict`."""
        if self.trees is not None and len(matrix) >= self.switch:
            return self.trees(matrix)
        return self.graph(matrix)

    @cached_property  # each batch of a worker asks
    def most_rows(self) -> int:
        """Rows up to which it takes less time than the models themselves; 0 where it never does."""
        return faster_until(self.timings, self.native) or 0

    def is_faster(self, rows: int, threads: int = 1) -> bool:
        """True where so many rows take less time than by the models themselves on so many threads."""
        most = max(SIZES)
        if rows < most:
            return rows <= self.most_rows
        return self.most_rows == most and self.timings[most] * threads < self.native[most]


def load_compiled(model_dir: Path, has_trees: bool = True) -> Compiled | None:
    """The compiled form of the model in a directory; None where it has none.

    Args:
        model_dir: the model.
        has_trees: with the tree library, which is for many rows. It takes a third of the time and memory.

    Raises:
        Unusable: files that are missing, broken, or of another model; predictions that are not equal.
    """
    directory = model_dir / DIRECTORY
    path = directory / FACTS
    if not path.exists():
        return None
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts.get("format") != FORMAT:
            raise Unusable(f"{path} has format {facts.get('format')!r}, this image reads {FORMAT}")
        _check_files(directory, facts["files"])
        _check_files(model_dir, facts["made_from"])
        stored = _read_rows(directory / ROWS, float(facts["scale"]))
        graph = Graph(directory / "model.onnx")
        trees = TreeLibrary(directory) if has_trees and TREES in facts["files"] else None
        trim_memory()
        return _timed(graph, trees, stored, facts["seconds"])
    except Unusable:
        raise
    except Exception as error:  # of a broken file, whatever a library says of it
        cause = next(iter(str(error).strip().splitlines()), "")[:300]
        raise Unusable(f"{directory} cannot be read ({type(error).__name__}: {cause})") from None


def _timed(
    graph: Evaluator, trees: Evaluator | None, stored: Stored, seconds: Mapping[str, Mapping[str, float]]
) -> Compiled:
    ways = {"the graph": graph} if trees is None else {"the graph": graph, "the tree library": trees}
    for name, evaluator in ways.items():
        stored.check(evaluator, name)
    measured = measure(ways, stored.rows)
    timings = measured["the graph"]
    then = {int(size): value for size, value in seconds["graph"].items()}
    # Native times are known from the machine that trained: this one is faster or slower by so much.
    speed = float(np.median([timings[size] / then[size] for size in SIZES]))
    native = {int(size): value * speed for size, value in seconds["native"].items()}
    switch = None
    if trees is not None:
        of_trees = measured["the tree library"]
        switch = faster_from(of_trees, timings)
        timings = {size: of_trees[size] if switch and size >= switch else timings[size] for size in SIZES}
    return Compiled(graph, trees if switch else None, switch or 0, timings, native, stored)


def sha256(path: Path) -> str:
    """Of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_files(directory: Path, expected: Mapping[str, str]) -> None:
    for name, digest in expected.items():
        path = directory / Path(name).name
        if not path.is_file():
            raise Unusable(f"{path} does not exist")
        if sha256(path) != digest:
            raise Unusable(f"{path} is not the file that the model was compiled with")


def _read_rows(path: Path, scale: float) -> Stored:
    with np.load(path, allow_pickle=False) as content:
        return Stored(
            np.ascontiguousarray(content["rows"], dtype=np.float32),
            np.asarray(content["native"], dtype=np.float64),
            scale,
        )


def write_rows(path: Path, stored: Stored) -> None:
    """The file that `load_compiled` reads rows from."""
    with path.open("wb") as file:
        np.savez_compressed(file, rows=stored.rows, native=stored.native)
