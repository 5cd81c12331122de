"""The model directory: what `train` writes and `serve` reads.

model.json      what was trained from what; the only file that says which others belong to it
catboost.cbm, xgboost.ubj, <scikit-learn model>.skops, blend.skops (stacking only)
metrics.json, report.html   for people and pipelines, not read when serving
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from numpy.typing import NDArray
from opt_ml.errors import UserError

from opt_ml_ensemble.blending import Blend
from opt_ml_ensemble.models import MODELS, Model, Problem
from opt_ml_ensemble.models.scikit_learn import load_trusted
from opt_ml_ensemble.schema import Matrix, Schema

FORMAT = 1
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
        output: what a request gets that does not ask; see `handler`.
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
    write_json(directory / "model.json", content)


def load_bundle(directory: Path) -> Bundle:
    """The ensemble back from `save_bundle`.

    Raises:
        UserError: no model.json, one of another format, or a file that is missing or broken, by its name.
    """
    path = directory / "model.json"
    with _reading(path):
        content = json.loads(path.read_text(encoding="utf-8"))
        found = content.get("format")
    if found != FORMAT:
        raise UserError(
            f"{path} has format {found!r}, this image reads {FORMAT}. "
            "Serve it with the image that trained it."
        )
    with _reading(path):
        schema = Schema.from_json(content["schema"])
        problem = Problem(
            schema.task,
            content["problem"]["n_classes"],
            len(schema.used),
            schema.categorical,
            content["problem"]["seed"],
        )
        kinds = {name: MODELS[name] for name in content["models"]}
        blend = Blend(content["blend"]["kind"], schema.task, content["blend"]["weights"])
        output = str(content["output"])
    models = {}
    for name, kind in kinds.items():
        with _reading(directory / kind.file):
            models[name] = kind.load(directory, problem)
    if blend.kind == "stacking":
        with _reading(directory / _META):
            blend = replace(blend, meta=load_trusted(directory / _META))
    return Bundle(schema, models, blend, output)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns whatever a library raises at a file that is missing or broken into one line for the user."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        if not path.exists():
            raise UserError(
                f"{path} does not exist. Serve a model that this image's train command wrote, with all files."
            ) from None
        # XGBoost appends its stack, line by line.
        cause = next(iter(str(error).strip().splitlines()), "")[:300] or "no cause given"
        raise UserError(
            f"{path} cannot be read ({type(error).__name__}: {cause}). "
            "Serve a model that this image's train command wrote, as it wrote it."
        ) from None


def versions() -> dict[str, str]:
    """Python and the libraries whose formats and numbers the model depends on."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # xgboost has two names, of which an image holds one
            continue
    return found


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Readable JSON, UTF-8, with a line feed at the end."""
    path.write_text(
        json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
    )
