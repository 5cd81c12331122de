"""What a fit depends on, and the checkpoints of its models that an interrupted job goes on from.

A checkpoint is what AutoGluon itself writes of one model, in AutoGluon's own format, which is pickle: it is
as trustworthy as the job's own bucket, where it comes from, and so is every model that AutoGluon loads.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from opt_ml.tables.files import Rows
from opt_ml.training.checkpoints import Checkpoints
from opt_ml.training.settings import TableSettings

# These change how long a job lasts, and what it writes beside the model, but not what comes out.
WITHOUT_EFFECT = frozenset(
    {"num_cpus", "num_gpus", "host_timeout", "verbosity", "save_space", "feature_importance", "time_limit"}
)


def versions(libraries: Iterable[str]) -> dict[str, str]:
    """The versions of libraries that a model depends on."""
    return {name: version(name) for name in libraries}


def identity(settings: TableSettings, libraries: Iterable[str], **parts: Any) -> dict[str, Any]:
    """What the models of a job depend on, in parts that a person can name.

    Args:
        settings: the job's.
        libraries: that the models depend on.
        parts: what they depend on beside these, such as columns and data.
    """
    return {
        "hyperparameters": settings.decided(without=WITHOUT_EFFECT),
        **parts,
        "versions": versions(libraries),
    }


def contents(rows: Mapping[str, Rows]) -> dict[str, list[str]]:
    """The hashes of the files that a fit sees, by channel: test rows are only measured."""
    return {name: [source.sha256 for source in read.sources] for name, read in rows.items() if name != "test"}


class ModelCheckpoints:
    """The models of a job, each written as soon as it is fitted.

    Args:
        checkpoints: None for a job that keeps none.

    Attributes:
        earlier_seconds: that the fits before an interruption took.
    """

    def __init__(self, checkpoints: Checkpoints | None) -> None:
        self._checkpoints = checkpoints
        self._started = time.monotonic()
        found = checkpoints.load("seconds") if checkpoints else None
        self.earlier_seconds = float(found.facts["seconds"]) if found else 0.0
        if found:
            print(f"Goes on after {self.earlier_seconds:.0f} s of fitting, from its checkpoints.", flush=True)

    def restored(self, model: Any) -> Any | None:
        """The model of that name as an earlier run of the job fitted it, or None."""
        found = self._checkpoints.load(_key(model.name)) if self._checkpoints else None
        if found is None:
            return None
        directory = Path(model.path)
        for name, content in found.files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        print(f"{model.name}: from its checkpoint.", flush=True)
        return type(model).load(path=str(directory))

    def keep(self, trainer: Any, name: str) -> None:
        """Write a checkpoint of a model of AutoGluon's trainer; one that is there stays."""
        if self._checkpoints is None or _key(name) in self._checkpoints.names():
            return
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
