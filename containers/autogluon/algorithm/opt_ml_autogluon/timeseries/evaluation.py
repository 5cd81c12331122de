"""What a predictor of series is worth: leaderboard, metrics, and forecasts beside what came."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from autogluon.timeseries import TimeSeriesDataFrame
from opt_ml.training.metric_lines import print_metrics

from opt_ml_autogluon.timeseries.channels import Data
from opt_ml_autogluon.timeseries.fitting import Fitted

# What people compare forecasts by, beside the metric that decides.
METRICS = ("MASE", "MAE", "RMSE", "SMAPE", "WAPE", "WQL")
MOST_SHOWN = 4  # series in the report


@dataclass(frozen=True)
class Shown:
    """One series beside its forecast, for the report.

    Attributes:
        item: its id.
        past, truth: the target before and in the forecast steps.
        forecast: the columns mean and those of the quantiles, by time.
    """

    item: str
    past: pd.Series
    truth: pd.Series
    forecast: pd.DataFrame


@dataclass(frozen=True)
class Evaluation:
    """All that the report shows.

    Attributes:
        metrics: the content of metrics.json.
        leaderboard: AutoGluon's, the best first; scores with AutoGluon's sign (more is better).
        shown: some of the series.
    """

    metrics: dict[str, Any]
    leaderboard: pd.DataFrame
    shown: list[Shown]


def evaluate(fitted: Fitted, data: Data) -> Evaluation:
    """Measure the predictor, print its metrics."""
    predictor = fitted.predictor
    test = data.series.get("test")
    leaderboard = predictor.leaderboard(test)
    best = predictor.model_best
    deciding = predictor.eval_metric
    metrics: dict[str, Any] = {
        "task": "timeseries",
        "metric": deciding.name,
        "model": best,
        "seconds": round(fitted.seconds, 1),
        "prediction_length": predictor.prediction_length,
    }
    score = leaderboard.set_index("model")["score_val"].get(best)
    if score is not None and np.isfinite(score):
        metrics["validation"] = {deciding.name: float(score) * deciding.sign}
    if test is not None:
        names = list(dict.fromkeys((deciding.name, *METRICS)))
        found = predictor.evaluate(test, metrics=names)
        # Errors have a minus in AutoGluon, so that more is always better; people know them without.
        metrics["test"] = {name: abs(float(value)) for name, value in found.items() if np.isfinite(value)}
    metrics["models"] = _models(leaderboard, deciding.sign)
    if not fitted.is_whole:
        metrics["stopped"] = True
    for part in ("validation", "test"):
        if part in metrics:
            print_metrics(part, metrics[part])
    return Evaluation(metrics, leaderboard, _shown(predictor, data))


def _models(leaderboard: pd.DataFrame, sign: int) -> list[dict[str, Any]]:
    """One row for each model of the leaderboard, with the metric's own sign and seconds."""
    rows = []
    for record in leaderboard.to_dict(orient="records"):
        row: dict[str, Any] = {"model": record["model"]}
        for name, label in (("score_val", "validation"), ("score_test", "test")):
            if _is_number(record.get(name)):
                row[label] = float(record[name]) * sign
        for name, label in (
            ("pred_time_val", "pred_time_val"),
            ("pred_time_test", "pred_time_test"),
            ("fit_time_marginal", "fit_time"),
        ):
            if _is_number(record.get(name)):
                row[label] = float(record[name])
        rows.append(row)
    return rows


def _is_number(value: Any) -> bool:
    return value is not None and bool(np.isfinite(value))


def _shown(predictor: Any, data: Data) -> list[Shown]:
    """Forecasts of the last steps of some series: of the test channel, else of those learned from."""
    series = data.series.get("test", data.series.get("validation", data.series["train"]))
    steps = predictor.prediction_length
    lengths = series.num_timesteps_per_item()
    items = [item for item in series.item_ids if lengths[item] > steps][:MOST_SHOWN]
    if not items:
        return []
    some = TimeSeriesDataFrame(series[series.index.get_level_values("item_id").isin(items)])
    try:
        past, known = some.get_model_inputs_for_scoring(steps, list(data.columns.known))
        forecasts = predictor.predict(past, known_covariates=known)
    except Exception:
        traceback.print_exc()  # the model is as good without a picture
        return []
    target = data.columns.target
    return [
        Shown(
            str(item),
            some.loc[item][target].iloc[:-steps].iloc[-4 * max(steps, 8) :],
            some.loc[item][target].iloc[-steps:],
            pd.DataFrame(forecasts.loc[item]),
        )
        for item in items
    ]
