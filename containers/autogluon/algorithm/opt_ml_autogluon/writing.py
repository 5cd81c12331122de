"""What the model directories of all tasks have in common."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opt_ml.environment import Environment
from opt_ml.tables.files import Rows
from opt_ml.training.settings import TableSettings
from opt_ml.training.staging import staged_model

from opt_ml_autogluon.fits import Fitted
from opt_ml_autogluon.model_json import FORMAT


@contextmanager
def model_directory(environment: Environment, reports: Iterable[str], model: str) -> Iterator[Path]:
    """A directory to fill, which becomes the job's model directory: all of it, or nothing.

    Args:
        environment: the job's.
        reports: files in it that also go to output/data (TRAIN-73).
        model: what the log calls the model.
    """
    with staged_model(environment.model_dir) as staging:
        yield staging
        target = environment.output_data_dir
        target.mkdir(parents=True, exist_ok=True)
        for name in reports:
            shutil.copyfile(staging / name, target / name)
        size = sum(path.stat().st_size for path in staging.rglob("*") if path.is_file()) / 1e6
    print(f"Model {model} ({size:.1f} MB) in {environment.model_dir}, report.html beside it.")


def description(
    environment: Environment,
    settings: TableSettings,
    read: Mapping[str, Rows],
    fitted: Fitted[Any],
    versions: Mapping[str, str],
    **facts: Any,
) -> dict[str, Any]:
    """The content of model.json.

    Args:
        environment: the job's.
        settings: the job's.
        read: the rows by channel, as they were read.
        fitted: what came out.
        versions: of the libraries that the model depends on.
        facts: what the task's handler has to know beside this.
    """
    return {
        "format": FORMAT,
        "task": settings["task"],
        **facts,
        "hyperparameters": settings.decided(),
        "channels": {
            name: [
                {"file": source.path.name, "rows": source.rows, "sha256": source.sha256}
                for source in rows.sources
            ]
            for name, rows in read.items()
        },
        "versions": dict(versions),
        "job": environment.job_name,
        "stopped": not fitted.is_whole,
    }
