"""The model directory and output/data of a job of images, text or both."""

from __future__ import annotations

import contextlib
import io
import shutil
from typing import Any

from autogluon.multimodal import MultiModalPredictor
from opt_ml.environment import Environment
from opt_ml.training.staging import staged_model

from opt_ml_autogluon.model_json import DESCRIPTION, FORMAT, write_json
from opt_ml_autogluon.multimodal.channels import Data
from opt_ml_autogluon.multimodal.evaluation import Evaluation
from opt_ml_autogluon.multimodal.fitting import Fitted
from opt_ml_autogluon.multimodal.progress import versions
from opt_ml_autogluon.multimodal.report import write_report
from opt_ml_autogluon.multimodal.settings import Settings

# Files about the model, in the model directory and in output/data (TRAIN-73).
REPORTS = ("FitSummary.json", "metrics.json", "report.html")
# What a fit leaves that predictions do not need: TensorBoard's events, and checkpoints on their way.
_LEFT_OUT = ("events.out.*", "hparams.yaml", "*last*.ckpt", "epoch=*.ckpt", "best_k_models.yaml")


def write(
    environment: Environment, settings: Settings, data: Data, fitted: Fitted, found: Evaluation
) -> None:
    """Write all of it, or nothing."""
    with staged_model(environment.model_dir) as staging:
        shutil.copytree(
            fitted.predictor.path, staging, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*_LEFT_OUT)
        )
        write_json(staging / DESCRIPTION, _description(environment, settings, data, fitted))
        write_json(staging / "metrics.json", found.metrics)
        write_json(staging / "FitSummary.json", _fit_summary(fitted.predictor))
        write_report(staging / "report.html", environment.job_name, data, fitted, found)
        target = environment.output_data_dir
        target.mkdir(parents=True, exist_ok=True)
        for name in REPORTS:
            shutil.copyfile(staging / name, target / name)
        size = sum(path.stat().st_size for path in staging.rglob("*") if path.is_file()) / 1e6
    print(f"Model of {size:.1f} MB in {environment.model_dir}, report.html beside it.")


def _fit_summary(predictor: MultiModalPredictor) -> dict[str, Any]:
    """What AutoGluon says of a fit, without printing it."""
    with contextlib.redirect_stdout(io.StringIO()):
        return dict(predictor.fit_summary(verbosity=0))


def _description(environment: Environment, settings: Settings, data: Data, fitted: Fitted) -> dict[str, Any]:
    labels = data.frames["train"][data.label]
    classes = [] if data.problem_type == "regression" else sorted(labels.unique().tolist(), key=str)
    return {
        "format": FORMAT,
        "task": settings["task"],
        "problem_type": data.problem_type,
        "label": data.label,
        "classes": classes,
        "columns": None if data.columns is None else data.columns.to_json(),
        "kinds": dict(data.kinds),
        "hyperparameters": {name: value for name, value in settings.values.items() if value is not None},
        "channels": {
            name: [
                {"file": source.path.name, "rows": source.rows, "sha256": source.sha256}
                for source in rows.sources
            ]
            for name, rows in data.rows.items()
        },
        "rows": {name: len(frame) for name, frame in data.frames.items()},
        "versions": versions(),
        "job": environment.job_name,
        "stopped": not fitted.is_whole,
    }
