"""report.html of a job of series: one file, without script or network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opt_ml.report import charts
from opt_ml.report.page import bar, figures, row, short, sources, table, tiles, write_page

from opt_ml_autogluon.progress import versions
from opt_ml_autogluon.report import lead, scores
from opt_ml_autogluon.timeseries.channels import Data
from opt_ml_autogluon.timeseries.evaluation import Evaluation, Shown
from opt_ml_autogluon.timeseries.fitting import Fitted
from opt_ml_autogluon.timeseries.progress import LIBRARIES


def write_report(path: Path, job_name: str, data: Data, fitted: Fitted, found: Evaluation) -> None:
    """Write report.html."""
    metrics = found.metrics
    fits = lead(job_name, fitted, f"{len(found.leaderboard)} models")
    text = f"{fits}; {metrics['model']} is served."
    steps = metrics["prediction_length"]
    write_page(
        path,
        f"AutoGluon for {data.columns.target}, {steps} step{'s' * (steps != 1)} ahead",
        text,
        (
            tiles(_facts(data, found)),
            _leaderboard(metrics),
            _forecasts(found.shown, "test" if "test" in data.series else "train"),
            sources({name: rows.sources for name, rows in data.rows.items()}, versions(LIBRARIES)),
        ),
    )


def _facts(data: Data, found: Evaluation) -> list[tuple[str, str]]:
    facts = scores(found.metrics)
    facts.append(("series", f"{data.series['train'].num_items:,}"))
    facts.append(("frequency", data.freq))
    return facts


def _leaderboard(metrics: Mapping[str, Any]) -> str:
    """Scores beside the time that forecasts take: what people choose by."""
    models: Sequence[Mapping[str, Any]] = metrics["models"]
    part = "test" if any("test" in model for model in models) else "val"
    times = [model.get(f"pred_time_{part}") for model in models]
    longest = max((time for time in times if time), default=1.0)
    parts = [name for name in ("validation", "test") if any(name in model for model in models)]
    lines = [
        row(
            model["model"],
            [
                *(short(model.get(name)) for name in parts),
                short(time),
                bar((time or 0.0) / longest),
                short(model.get("fit_time")),
            ],
            "blend" if model["model"] == metrics["model"] else "",
        )
        for model, time in zip(models, times, strict=True)
    ]
    return (
        f'<h2>Leaderboard</h2><p class="muted">By {metrics["metric"]}, the best first. Times are those of a '
        "forecast of all series in one call, all models below an ensemble included.</p>"
        f"{table(['', *parts, 'forecast, s', '', 'fit, s'], lines)}"
    )


def _forecasts(shown: Sequence[Shown], channel: str) -> str:
    if not shown:
        return ""
    plots = []
    for one in shown:
        levels = [name for name in one.forecast.columns if name != "mean"]
        lines = {"mean": one.forecast["mean"].tolist()}
        if levels:
            lines |= {f"quantile {name}": one.forecast[name].tolist() for name in (levels[0], levels[-1])}
        plots.append((one.item, charts.forecast(one.past.tolist(), one.truth.tolist(), lines)))
    seen = " The models have seen these steps." if channel == "train" else ""
    return (
        f'<h2>Forecasts</h2><p class="muted">The last steps of series of the channel {channel}, beside '
        f"what was forecast from those before.{seen}</p>{figures(plots)}"
    )
