"""The model directory: what `train` writes and `serve` reads.

model.json      what was trained from what; the only file that says which others belong to it
catboost.cbm, xgboost.ubj, <scikit-learn model>.skops, blend.skops (stacking only)
compiled/       the same as one ONNX graph, see the package `compiled`
metrics.json, report.html   for people and pipelines, not read when serving
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from numpy.typing import NDArray

from opt_ml_ensemble.blending import Blend
from opt_ml_ensemble.description import DESCRIPTION, FORMAT, read_description, reading, write_json
from opt_ml_ensemble.models import MODELS, Model, Problem
from opt_ml_ensemble.models.scikit_learn import load_trusted
from opt_ml_ensemble.schema import Matrix, Schema

_META = "blend.skops"
_LIBRARIES = (
    "catboost",
    "xgboost-cpu",
    "xgboost",
    "scikit-learn",
    "skops",
    "numpy",
    "pandas",
    "opt-ml-ensemble",
)


@dataclass(frozen=True)
class Bundle:
    """A trained ensemble.

    Attributes:
        schema: columns, label, task, classes.
        models: by name, in the order of the job's `models`.
        blend: how they become one.
        output: what a request gets that does not ask; see `outputs`.
    """

    schema: Schema
    models: Mapping[str, Model]
    blend: Blend
    output: str

    def predict_each(self, matrix: Matrix, threads: int = 1) -> dict[str, NDArray[np.float64]]:
        """Every model's prediction: (rows,) or (rows, classes)."""
        return {name: model.predict(matrix, threads) for name, model in self.models.items()}

    def predict(self, matrix: Matrix, threads: int = 1) -> NDArray[np.float64]:
        """The blend's prediction: (rows,) or (rows, classes). A model of weight 0 is not asked."""
        needed = {name: model for name, model in self.models.items() if self.blend.weights.get(name, 1.0) > 0}
        return self.blend.combine({name: model.predict(matrix, threads) for name, model in needed.items()})


def save_bundle(bundle: Bundle, directory: Path, facts: Mapping[str, Any]) -> None:
    """Write all that serving needs.

    Args:
        bundle: the ensemble.
        directory: an empty directory.
        facts: further entries of model.json: hyperparameters, files of the channels.
    """
    problem = next(iter(bundle.models.values())).problem
    for model in bundle.models.values():
        model.save(directory)
    if bundle.blend.meta is not None:
        skops.io.dump(bundle.blend.meta, directory / _META)
    content = {
        "format": FORMAT,
        "output": bundle.output,
        "schema": bundle.schema.to_json(),
        "blend": {"kind": bundle.blend.kind, "weights": dict(bundle.blend.weights)},
        "models": {name: {"rounds": model.rounds} for name, model in bundle.models.items()},
        "problem": {"n_classes": problem.n_classes, "seed": problem.seed},
        **facts,
        "versions": versions(),
    }
    write_json(directory / DESCRIPTION, content)


def model_files(bundle: Bundle) -> list[str]:
    """The names of the files that hold a saved ensemble."""
    stacked = [_META] if bundle.blend.meta is not None else []
    return [DESCRIPTION, *(model.file for model in bundle.models.values()), *stacked]


def load_bundle(directory: Path) -> Bundle:
    """The ensemble back from `save_bundle`.

    Raises:
        UserError: no model.json, one of another format, or a file that is missing or broken, by its name.
    """
    description = read_description(directory)
    schema, content = description.schema, description.content
    with reading(directory / DESCRIPTION):
        problem = Problem(
            schema.task,
            content["problem"]["n_classes"],
            len(schema.used),
            schema.categorical,
            content["problem"]["seed"],
        )
        kinds = {name: MODELS[name] for name in content["models"]}
        blend = Blend(content["blend"]["kind"], schema.task, content["blend"]["weights"])
    models = {}
    for name, kind in kinds.items():
        with reading(directory / kind.file):
            models[name] = kind.load(directory, problem)
    if blend.kind == "stacking":
        with reading(directory / _META):
            blend = replace(blend, meta=load_trusted(directory / _META))
    return Bundle(schema, models, blend, description.output)


def versions() -> dict[str, str]:
    """Python and the libraries whose formats and numbers the model depends on."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # xgboost has two names, of which an image holds one
            continue
    return found
