"""How far a job has come: the state that an interrupted one goes on from, and lines for those who wait.

Every finished fit is kept at once, a fit that is boosting every `checkpoint_seconds`. The names:

    catboost-fold-0    finished: the predictions for the rows held out, scores, rounds, learning curve
    catboost           finished: the model that is served
    xgboost-fold-3-so-far    boosting: what the model needs to go on, the newest two; gone when it is finished

A job without a checkpoint directory keeps nothing and otherwise does the same.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opt_ml.training import stopping
from opt_ml.training.checkpoints import Checkpoint, Checkpoints
from opt_ml.training.metric_lines import print_metrics

from opt_ml_ensemble.bundle import versions
from opt_ml_ensemble.models import MODELS, Curve, Model, Problem
from opt_ml_ensemble.schema import Data, Schema
from opt_ml_ensemble.settings import Settings

LINE_SECONDS = 10.0
_SO_FAR = "-so-far"
# These change how long a job lasts, and what it writes on the way, but not what comes out.
_WITHOUT_EFFECT = frozenset({"nthread", "checkpoint_seconds", "host_timeout"})


def identity(settings: Settings, schema: Schema, data: Mapping[str, Data | None]) -> dict[str, Any]:
    """What the models of a job depend on, in parts that a person can name."""
    values = {
        name: value
        for name, value in settings.values.items()
        if value is not None and name not in _WITHOUT_EFFECT
    }
    rows = {name: _digest(part) for name, part in data.items() if part is not None}
    return {
        "hyperparameters": values,
        "columns": schema.to_json(),
        "data": rows,
        "versions": versions(),
    }


def _digest(data: Data) -> str:
    digest = hashlib.sha256()
    for part in (data.matrix, data.label, data.weight):
        if part is not None:
            digest.update(f"{part.dtype} {part.shape};".encode())
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


class Progress:
    """The fits of a job.

    Args:
        checkpoints: None for a job that keeps none.
        seconds: between two checkpoints of one fit.
    """

    def __init__(self, checkpoints: Checkpoints | None = None, seconds: float = 60.0) -> None:
        self.checkpoints = checkpoints
        self.seconds = seconds
        self.line_due = time.monotonic() + LINE_SECONDS

    def of(self, fit: str) -> FitProgress:
        """The progress of one fit, by its name."""
        return FitProgress(self, fit)


class FitProgress:
    """One fit: what a model calls while it boosts, and what becomes of its result.

    Args:
        job: the job's progress.
        fit: such as `xgboost-fold-3`.
    """

    def __init__(self, job: Progress, fit: str) -> None:
        self._job = job
        self.fit = fit
        self._saved = time.monotonic()

    @property
    def keeps(self) -> bool:
        """False where there is nowhere to keep a state."""
        return self._job.checkpoints is not None

    @property
    def seconds(self) -> float:
        """Between two checkpoints."""
        return self._job.seconds

    @property
    def stops(self) -> bool:
        """True once the job was told to stop: the model ends its fit where it is (TRAIN-95)."""
        return stopping.requested()

    @property
    def due(self) -> bool:
        """True when it is time for `keep`."""
        return self.keeps and time.monotonic() - self._saved >= self.seconds

    def so_far(self) -> Checkpoint | None:
        """The newest state that an interrupted fit of the same job left, or None."""
        if self._job.checkpoints is None:
            return None
        found = self._job.checkpoints.load(self.fit + _SO_FAR)
        if found:
            print(
                f"{self.fit}: goes on after {found.facts['rounds']} rounds, from its checkpoint.", flush=True
            )
        return found

    def keep(self, facts: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        """Keep the state of an unfinished fit; `facts` must hold `rounds`."""
        if self._job.checkpoints is not None:
            self._job.checkpoints.save(self.fit + _SO_FAR, facts, files, keep=2)
        self._saved = time.monotonic()

    def line(self, rounds: int, metric: str, value: float) -> None:
        """Print the loss on the watched rows, at most every LINE_SECONDS in a job.

        It is a line of the same kind as the fold's own, so that a tuning job which stops early sees a job
        on its way (TRAIN-114).
        """
        if time.monotonic() >= self._job.line_due:
            self._job.line_due = time.monotonic() + LINE_SECONDS
            print_metrics(f"validation-{self.fit}", {metric: value}, f"after {rounds} rounds")

    def finished(self) -> Checkpoint | None:
        """What `finish` kept in an earlier run of the same job, or None."""
        return self._job.checkpoints.load(self.fit) if self._job.checkpoints is not None else None

    def finish(self, facts: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        """Keep the result; the states on the way to it go once it is there."""
        kept = self._job.checkpoints
        if kept is not None and kept.save(self.fit, facts, files):
            kept.remove(self.fit + _SO_FAR)


def model_state(model: Model) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Facts and files of a fitted model."""
    with tempfile.TemporaryDirectory(prefix="checkpoint-") as scratch:
        model.save(Path(scratch))
        files = {path.name: path.read_bytes() for path in Path(scratch).iterdir()}
    return {"rounds": model.rounds, "curve": asdict(model.curve) if model.curve else None}, files


def restored_model(name: str, problem: Problem, found: Checkpoint) -> Model:
    """The model back from `model_state`; it predicts bit by bit the same."""
    with tempfile.TemporaryDirectory(prefix="checkpoint-") as scratch:
        for file, content in found.files.items():
            (Path(scratch) / Path(file).name).write_bytes(content)
        model = MODELS[name].load(Path(scratch), problem)
    model.rounds = found.facts["rounds"]
    model.curve = restored_curve(found)
    return model


def restored_curve(found: Checkpoint) -> Curve | None:
    """The learning curve among the facts, or None."""
    curve = found.facts.get("curve")
    return Curve(**curve) if curve else None


def to_npy(array: NDArray[Any]) -> bytes:
    """An array as the content of an npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def from_npy(content: bytes) -> NDArray[Any]:
    """The array back from `to_npy`; never unpickles."""
    array: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
    return array
