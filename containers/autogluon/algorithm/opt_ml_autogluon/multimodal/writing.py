"""The model directory and output/data of a job of images, text or both."""

from __future__ import annotations

import contextlib
import io
import shutil
from typing import Any

from autogluon.multimodal import MultiModalPredictor
from opt_ml.environment import Environment

from opt_ml_autogluon.model_json import DESCRIPTION, write_json
from opt_ml_autogluon.multimodal.channels import Data
from opt_ml_autogluon.multimodal.evaluation import Evaluation
from opt_ml_autogluon.multimodal.fitting import Fitted
from opt_ml_autogluon.multimodal.progress import LIBRARIES
from opt_ml_autogluon.multimodal.report import write_report
from opt_ml_autogluon.multimodal.settings import Settings
from opt_ml_autogluon.progress import versions
from opt_ml_autogluon.writing import description, model_directory

# Files about the model, in the model directory and in output/data (TRAIN-73).
REPORTS = ("FitSummary.json", "metrics.json", "report.html")
# What a fit leaves that predictions do not need: TensorBoard's events, and checkpoints on their way.
_LEFT_OUT = ("events.out.*", "hparams.yaml", "*last*.ckpt", "epoch=*.ckpt", "best_k_models.yaml")


def write(
    environment: Environment, settings: Settings, data: Data, fitted: Fitted, found: Evaluation
) -> None:
    """Write all of it, or nothing."""
    with model_directory(environment, REPORTS, f"for {data.label}") as staging:
        shutil.copytree(
            fitted.predictor.path, staging, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*_LEFT_OUT)
        )
        libraries = versions(LIBRARIES)
        described = description(environment, settings, data.rows, fitted, libraries, **_facts(data))
        write_json(staging / DESCRIPTION, described)
        write_json(staging / "metrics.json", found.metrics)
        write_json(staging / "FitSummary.json", _fit_summary(fitted.predictor))
        write_report(staging / "report.html", environment.job_name, data, fitted, found)


def _fit_summary(predictor: MultiModalPredictor) -> dict[str, Any]:
    """What AutoGluon says of a fit, without printing it."""
    with contextlib.redirect_stdout(io.StringIO()):
        return dict(predictor.fit_summary(verbosity=0))


def _facts(data: Data) -> dict[str, Any]:
    """What the handler has to know."""
    labels = data.frames["train"][data.label]
    return {
        "problem_type": data.problem_type,
        "label": data.label,
        "classes": [] if data.problem_type == "regression" else sorted(labels.unique().tolist(), key=str),
        "columns": None if data.columns is None else data.columns.to_json(),
        "kinds": dict(data.kinds),
        "rows": {name: len(frame) for name, frame in data.frames.items()},
    }
