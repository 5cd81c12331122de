"""The model directory and output/data of a job of series."""

from __future__ import annotations

import shutil
from pathlib import Path

from autogluon.timeseries import TimeSeriesPredictor
from opt_ml.environment import Environment

from opt_ml_autogluon.model_json import DESCRIPTION, write_json
from opt_ml_autogluon.pretrained import Weights
from opt_ml_autogluon.progress import versions
from opt_ml_autogluon.timeseries.channels import Data
from opt_ml_autogluon.timeseries.evaluation import Evaluation
from opt_ml_autogluon.timeseries.fitting import Fitted
from opt_ml_autogluon.timeseries.models import weights_of
from opt_ml_autogluon.timeseries.progress import LIBRARIES
from opt_ml_autogluon.timeseries.report import write_report
from opt_ml_autogluon.timeseries.settings import Settings
from opt_ml_autogluon.writing import description, model_directory

# Files about the model, in the model directory and in output/data (TRAIN-73).
REPORTS = ("Leaderboard.csv", "metrics.json", "report.html")


def write(
    environment: Environment,
    settings: Settings,
    data: Data,
    fitted: Fitted,
    found: Evaluation,
    weights: Weights,
) -> None:
    """Write all of it, or nothing."""
    with model_directory(environment, REPORTS, found.metrics["model"]) as staging:
        used = _save_predictor(fitted.predictor, staging, settings["save_space"])
        weights.keep([name for name in used if name in weights], staging)
        facts = {
            "columns": data.columns.to_json(),
            "freq": data.freq,
            "fill_gaps": settings["fill_gaps"],
            "prediction_length": settings["prediction_length"],
        }
        described = description(environment, settings, data.rows, fitted, versions(LIBRARIES), **facts)
        write_json(staging / DESCRIPTION, described)
        write_json(staging / "metrics.json", found.metrics)
        found.leaderboard.to_csv(staging / "Leaderboard.csv", index=False)
        write_report(staging / "report.html", environment.job_name, data, fitted, found)


def _save_predictor(predictor: TimeSeriesPredictor, target: Path, save_space: bool) -> list[str]:
    """Copy the predictor; the weights that its models begin with, by their names.

    AutoGluon cannot clone a predictor of series for deployment: what forecasts do not need is left out here.
    """
    trainer = predictor._trainer
    kept = (
        set(trainer.get_minimum_model_set(predictor.model_best))
        if save_space
        else set(predictor.model_names())
    )
    left_out = {
        str(Path(trainer.path) / trainer.get_model_attribute(name, "path"))
        for name in predictor.model_names()
        if name not in kept
    }
    if save_space:
        left_out.add(str(Path(trainer.path).parent / "utils" / "data"))
        left_out.add(str(Path(trainer.path) / "utils" / "data"))

    def ignore(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if str(Path(folder) / name) in left_out]

    shutil.copytree(predictor.path, target, dirs_exist_ok=True, ignore=ignore)
    clone = TimeSeriesPredictor.load(str(target))
    cloned = clone._trainer  # loaded anew each time
    cloned.model_graph.remove_nodes_from([name for name in cloned.get_model_names() if name not in kept])
    cloned.save()
    return weights_of(clone)
