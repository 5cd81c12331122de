"""The model directory and output/data of a job: AutoGluon's predictor, and pages and files about it."""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
from pathlib import Path
from typing import Any

from autogluon.tabular import TabularPredictor
from opt_ml.environment import Environment
from opt_ml.training.staging import staged_model

from opt_ml_autogluon.model_json import DESCRIPTION, FORMAT, write_json
from opt_ml_autogluon.tabular.channels import Tables
from opt_ml_autogluon.tabular.evaluation import Evaluation
from opt_ml_autogluon.tabular.explaining import BACKGROUND, write_background
from opt_ml_autogluon.tabular.fitting import Fitted
from opt_ml_autogluon.tabular.progress import versions
from opt_ml_autogluon.tabular.report import write_report, write_summary
from opt_ml_autogluon.tabular.settings import Settings

# Files about the model, in the model directory and in output/data (TRAIN-73). The first four have the names
# that the published AutoGluon example gives them.
REPORTS = (
    "Leaderboard.csv",
    "Model_Evaluation.txt",
    "Fit_Summary.txt",
    "SummaryOfModels.html",
    "metrics.json",
    "report.html",
)


def write(
    environment: Environment, settings: Settings, tables: Tables, fitted: Fitted, found: Evaluation
) -> None:
    """Write all of it, or nothing."""
    with staged_model(environment.model_dir) as staging:
        _save_predictor(fitted.predictor, staging, settings["save_space"])
        write_background(staging / BACKGROUND, tables.frames["train"], tables.columns)
        write_json(staging / DESCRIPTION, _description(environment, settings, tables, fitted))
        write_json(staging / "metrics.json", found.metrics)
        found.leaderboard.to_csv(staging / "Leaderboard.csv", index=False)
        evaluated = found.metrics.get("test", found.metrics.get("validation", {}))
        write_json(staging / "Model_Evaluation.txt", evaluated)
        (staging / "Fit_Summary.txt").write_text(_fit_summary(fitted.predictor), encoding="utf-8")
        write_summary(staging / "SummaryOfModels.html", tables, found)
        write_report(staging / "report.html", environment.job_name, tables, fitted, found)
        target = environment.output_data_dir
        target.mkdir(parents=True, exist_ok=True)
        for name in REPORTS:
            shutil.copyfile(staging / name, target / name)
        size = sum(path.stat().st_size for path in staging.rglob("*") if path.is_file()) / 1e6
    print(
        f"Model {found.metrics['model']} ({size:.1f} MB) in {environment.model_dir}, report.html beside it."
    )


def _save_predictor(predictor: TabularPredictor, target: Path, save_space: bool) -> None:
    logger = logging.getLogger("autogluon")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it names directories that are gone when the job has ended
    try:
        if save_space:
            predictor.clone_for_deployment(str(target), dirs_exist_ok=True)
        else:
            predictor.clone(str(target), dirs_exist_ok=True)
    finally:
        logger.setLevel(level)


def _description(
    environment: Environment, settings: Settings, tables: Tables, fitted: Fitted
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "task": settings["task"],
        "problem_type": tables.problem_type,
        "columns": tables.columns.to_json(),
        "hyperparameters": {name: value for name, value in settings.values.items() if value is not None},
        "channels": {
            name: [
                {"file": source.path.name, "rows": source.rows, "sha256": source.sha256}
                for source in rows.sources
            ]
            for name, rows in tables.rows.items()
        },
        "versions": versions(),
        "job": environment.job_name,
        "stopped": not fitted.is_whole,
    }


def _fit_summary(predictor: TabularPredictor) -> str:
    """What AutoGluon prints about a fit."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    logger = logging.getLogger("autogluon")
    logger.addHandler(handler)
    try:
        with contextlib.redirect_stdout(text):
            predictor.fit_summary(verbosity=1)
    finally:
        logger.removeHandler(handler)
    return text.getvalue()
