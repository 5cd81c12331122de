"""Compile a trained ensemble into its model directory; whatever does not come out equal is left out."""

from __future__ import annotations

import shutil
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from opt_ml_ensemble.bundle import Bundle, model_files, versions
from opt_ml_ensemble.compiled import evaluator, loading
from opt_ml_ensemble.compiled.ensemble import Ensemble, ensemble_of
from opt_ml_ensemble.compiled.graph import head_graph, prepare_graph, whole_graph
from opt_ml_ensemble.compiled.loading import Unusable
from opt_ml_ensemble.compiled.scores import NotCompilable
from opt_ml_ensemble.compiled.stored_rows import stored_rows
from opt_ml_ensemble.compiled.timing import SIZES, faster_from, measure
from opt_ml_ensemble.compiled.tolerance import OF_SCALE, OF_VALUE, PROBABILITY
from opt_ml_ensemble.compiled.tree_library import tree_model
from opt_ml_ensemble.description import write_json
from opt_ml_ensemble.schema import Matrix

NATIVE_SIZES = (*SIZES, 1000)
ROUNDS = 5


class Outcome(NamedTuple):
    """What came of it, and one line for the log that says so."""

    is_compiled: bool
    line: str


def compile_model(bundle: Bundle, model_dir: Path, sample: Matrix | None = None) -> Outcome:
    """Write `compiled/` beside the models that `save_bundle` wrote; see `loading` for what stands there.

    Args:
        bundle: the ensemble.
        model_dir: holds its files.
        sample: rows as they are in training, to compare on; without them rows are made up.

    Returns:
        the outcome. A model that cannot be compiled is no error: it is served without.
    """
    directory = model_dir / loading.DIRECTORY
    started = time.perf_counter()
    try:
        directory.mkdir()
        facts = _write(bundle, directory, sample)
        facts["made_from"] = {name: loading.sha256(model_dir / name) for name in model_files(bundle)}
        write_json(directory / loading.FACTS, facts)
    except MemoryError:
        raise
    except Exception as error:  # a faster way to serve is nothing to fail a job for
        shutil.rmtree(directory, ignore_errors=True)
        known = isinstance(error, NotCompilable | Unusable)
        cause = " ".join((str(error) if known else f"{type(error).__name__}: {error}").split())[:300]
        return Outcome(False, f"Not compiled: {cause}. The model is served by its own libraries.")
    native, compiled = (facts["seconds"][name]["1"] * 1e6 for name in ("native", "graph"))
    return Outcome(
        True,
        f"Compiled in {time.perf_counter() - started:.1f} s: {facts['nodes']} nodes, "
        f"{compiled:.0f} us for one row instead of {native:.0f} us.",
    )


def _write(bundle: Bundle, directory: Path, sample: Matrix | None) -> dict[str, Any]:
    ensemble = ensemble_of(bundle)
    stored = stored_rows(bundle, ensemble, sample)
    loading.write_rows(directory / loading.ROWS, stored)
    (directory / evaluator.GRAPH).write_bytes(whole_graph(ensemble))
    graph = evaluator.Graph(directory / evaluator.GRAPH)
    apart = {"graph": stored.check(graph, "the graph")}
    seconds = measure({"graph": graph}, stored.rows, rounds=ROUNDS)
    trees = _write_trees(ensemble, directory)
    if trees is not None:
        try:
            apart["trees"] = stored.check(trees, "the tree library")
            both = measure({"graph": graph, "trees": trees}, stored.rows, rounds=ROUNDS)
            if faster_from(both["trees"], both["graph"]) is None:
                raise Unusable("the graph is faster for any number of rows")
            seconds = both
        except Unusable:
            _remove_trees(directory)
    seconds |= measure({"native": bundle.predict}, stored.rows, NATIVE_SIZES)
    files = sorted(path.name for path in directory.iterdir())
    return {
        "format": loading.FORMAT,
        "nodes": ensemble.nodes,
        "models": list(ensemble.models),
        "tolerance": {"probability": PROBABILITY, "of_scale": OF_SCALE, "of_value": OF_VALUE},
        "scale": stored.scale,
        "share_of_tolerance": apart,
        "seconds": {
            name: {str(size): value for size, value in found.items()} for name, found in seconds.items()
        },
        "files": {name: loading.sha256(directory / name) for name in files},
        "versions": {**versions(), **{name: version(name) for name in ("onnx", "onnxruntime")}},
    }


def _write_trees(ensemble: Ensemble, directory: Path) -> evaluator.TreeLibrary | None:
    """The files of `evaluator.TreeLibrary`; None where there can be none."""
    try:
        (directory / evaluator.TREES).write_bytes(tree_model(ensemble))
    except NotCompilable:
        return None
    (directory / evaluator.HEAD).write_bytes(head_graph(ensemble))
    if len(ensemble.columns.order) > ensemble.columns.n_features:
        (directory / evaluator.PREPARE).write_bytes(prepare_graph(ensemble))
    return evaluator.TreeLibrary(directory)


def _remove_trees(directory: Path) -> None:
    for name in (evaluator.TREES, evaluator.HEAD, evaluator.PREPARE):
        (directory / name).unlink(missing_ok=True)
