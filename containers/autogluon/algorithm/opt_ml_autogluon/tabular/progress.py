"""How far a fit has come: a line for each model, and checkpoints that an interrupted job goes on from.

A checkpoint is what AutoGluon itself writes of one model, in AutoGluon's own format, which is pickle: it is
as trustworthy as the job's own bucket, where it comes from, and so is every model that AutoGluon loads.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from autogluon.core.callbacks import AbstractCallback
from opt_ml.tables.files import Rows
from opt_ml.training import stopping
from opt_ml.training.checkpoints import Checkpoint, Checkpoints
from opt_ml.training.metric_lines import print_metrics

from opt_ml_autogluon.tabular.columns import Columns
from opt_ml_autogluon.tabular.settings import Settings

LIBRARIES = ("autogluon.tabular", "catboost", "lightgbm", "scikit-learn", "torch", "xgboost-cpu")
_CORE = "core"  # AutoGluon's word for models other than ensembles of their predictions
# These change how long a job lasts, and what it writes beside the model, but not what comes out.
_WITHOUT_EFFECT = frozenset({"num_cpus", "verbosity", "save_space", "feature_importance", "time_limit"})


def versions() -> dict[str, str]:
    """The libraries that a model depends on."""
    return {name: version(name) for name in LIBRARIES}


def identity(settings: Settings, columns: Columns, rows: Mapping[str, Rows]) -> dict[str, Any]:
    """What the models of a job depend on, in parts that a person can name."""
    values = {
        name: value
        for name, value in settings.values.items()
        if value is not None and name not in _WITHOUT_EFFECT
    }
    data = {name: [source.sha256 for source in read.sources] for name, read in rows.items() if name != "test"}
    return {"hyperparameters": values, "columns": columns.to_json(), "data": data, "versions": versions()}


class Progress(AbstractCallback):  # type: ignore[misc]
    """AutoGluon calls it before and after each model.

    A model of the checkpoints is not fitted again but taken as it is; its scores, the stacking on it and the
    ensemble are made as if it had just been fitted.

    Args:
        checkpoints: None for a job that keeps none.

    Attributes:
        earlier_seconds: that the fits before an interruption took.
        fits_begun: models that AutoGluon has begun with.
    """

    def __init__(self, checkpoints: Checkpoints | None) -> None:
        super().__init__()
        self._checkpoints = checkpoints
        self._started = time.monotonic()
        self.fits_begun = 0
        found = checkpoints.load("seconds") if checkpoints else None
        self.earlier_seconds = float(found.facts["seconds"]) if found else 0.0
        if found:
            print(f"Goes on after {self.earlier_seconds:.0f} s of fitting, from its checkpoints.", flush=True)

    def _before_model_fit(self, trainer: Any, model: Any, **facts: Any) -> tuple[bool, bool]:
        self.fits_begun += 1
        if stopping.requested():
            return True, False
        found = self._checkpoints.load(_key(model.name)) if self._checkpoints else None
        if found is not None:
            self._take(model, found)
        return False, False

    def _take(self, model: Any, found: Checkpoint) -> None:
        """Let `model.fit` return the model that the checkpoint holds."""
        directory = Path(model.path)
        for name, content in found.files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        earlier = type(model).load(path=str(directory))
        print(f"{model.name}: from its checkpoint.", flush=True)
        model.fit = lambda **_: earlier

    def _after_model_fit(
        self, trainer: Any, model_names: list[str], stack_name: str = _CORE, **facts: Any
    ) -> bool:
        for name in model_names:
            score = trainer.get_model_attribute(model=name, attribute="val_score")
            if score is not None:
                metric = trainer.eval_metric
                print_metrics(f"validation-{name}", {metric.name: metric.convert_score_to_original(score)})
            if stack_name == _CORE:
                self._keep(trainer, name)
        return bool(stopping.requested())

    def _keep(self, trainer: Any, name: str) -> None:
        if self._checkpoints is None or _key(name) in self._checkpoints.names():
            return
        if stopping.requested():
            return  # CatBoost, for one, takes the exception for the end of its rounds
        directory = Path(trainer.path) / trainer.get_model_attribute(model=name, attribute="path")
        files = {
            str(path.relative_to(directory)): path.read_bytes()
            for path in sorted(directory.rglob("*"))
            if path.is_file()
        }
        self._checkpoints.save(_key(name), {"model": name}, files)
        spent = self.earlier_seconds + time.monotonic() - self._started
        self._checkpoints.save("seconds", {"seconds": spent})


def _key(name: str) -> str:
    """A model's name as that of a checkpoint."""
    return "model-" + re.sub(r"[^A-Za-z0-9_-]", "-", name)
