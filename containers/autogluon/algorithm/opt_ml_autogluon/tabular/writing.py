"""The model directory and output/data of a job: AutoGluon's predictor, and pages and files about it."""

from __future__ import annotations

import contextlib
import io
import logging
from pathlib import Path

from autogluon.tabular import TabularPredictor
from opt_ml.environment import Environment

from opt_ml_autogluon.model_json import DESCRIPTION, write_json
from opt_ml_autogluon.progress import versions
from opt_ml_autogluon.tabular.channels import Tables
from opt_ml_autogluon.tabular.evaluation import Evaluation
from opt_ml_autogluon.tabular.explaining import BACKGROUND, write_background
from opt_ml_autogluon.tabular.fitting import Fitted
from opt_ml_autogluon.tabular.progress import LIBRARIES
from opt_ml_autogluon.tabular.report import write_report, write_summary
from opt_ml_autogluon.tabular.settings import Settings
from opt_ml_autogluon.writing import description, model_directory

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
    with model_directory(environment, REPORTS, found.metrics["model"]) as staging:
        _save_predictor(fitted.predictor, staging, settings["save_space"])
        write_background(staging / BACKGROUND, tables.frames["train"], tables.columns)
        facts = {"problem_type": tables.problem_type, "columns": tables.columns.to_json()}
        described = description(environment, settings, tables.rows, fitted, versions(LIBRARIES), **facts)
        write_json(staging / DESCRIPTION, described)
        write_json(staging / "metrics.json", found.metrics)
        found.leaderboard.to_csv(staging / "Leaderboard.csv", index=False)
        evaluated = found.metrics.get("test", found.metrics.get("validation", {}))
        write_json(staging / "Model_Evaluation.txt", evaluated)
        (staging / "Fit_Summary.txt").write_text(_fit_summary(fitted.predictor), encoding="utf-8")
        write_summary(staging / "SummaryOfModels.html", tables, found)
        write_report(staging / "report.html", environment.job_name, tables, fitted, found)


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
