"""report.html and SummaryOfModels.html: one file each, without script or network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from opt_ml.report import charts
from opt_ml.report.page import bar, figures, row, short, sources, table, tiles, write_page

from opt_ml_autogluon.progress import versions
from opt_ml_autogluon.report import lead, predictions, scores
from opt_ml_autogluon.tabular.channels import Tables
from opt_ml_autogluon.tabular.evaluation import Evaluation
from opt_ml_autogluon.tabular.fitting import Fitted
from opt_ml_autogluon.tabular.progress import LIBRARIES

MOST_FEATURES = 15


def write_report(path: Path, job_name: str, tables: Tables, fitted: Fitted, found: Evaluation) -> None:
    """Write report.html."""
    metrics = found.metrics
    fits = lead(job_name, fitted, f"{len(found.leaderboard)} models")
    text = f"{fits}; {metrics['model']} is served."
    files = {name: rows.sources for name, rows in tables.rows.items()}
    write_page(
        path,
        f"AutoGluon for {tables.columns.label} ({tables.problem_type})",
        text,
        (
            tiles(_facts(tables, found)),
            _leaderboard(tables, found),
            predictions(found.held_out),
            _importance(found),
            sources(files, versions(LIBRARIES)),
        ),
    )


def write_summary(path: Path, tables: Tables, found: Evaluation) -> None:
    """Write SummaryOfModels.html: the leaderboard alone."""
    title = f"Models for {tables.columns.label}"
    text = f"{len(found.leaderboard)} models; {found.metrics['model']} is served."
    write_page(path, title, text, (_leaderboard(tables, found),))


def _facts(tables: Tables, found: Evaluation) -> list[tuple[str, str]]:
    facts = scores(found.metrics)
    facts.append(("train rows", f"{len(tables.frames['train']):,}"))
    facts.append(("columns", str(len(tables.columns.features))))
    return facts


def _leaderboard(tables: Tables, found: Evaluation) -> str:
    """Scores beside the time that a prediction takes: what people choose by."""
    models, metric = found.metrics["models"], found.metrics["metric"]
    part = "test" if any("test" in model for model in models) else "validation"
    times = {model["model"]: _milliseconds(model, part, tables, found) for model in models}
    longest = max((time for time in times.values() if time is not None), default=1.0) or 1.0
    lines = []
    points = []
    for model in models:
        name, time = model["model"], times[model["model"]]
        cells: list[Any] = [short(model.get("validation"))]
        if part == "test":
            cells.append(short(model.get("test")))
        cells += [short(time), bar((time or 0.0) / longest), short(model.get("fit_time"))]
        lines.append(row(name, cells, "blend" if name == found.metrics["model"] else ""))
        if time and model.get(part) is not None:
            points.append((name, time, model[part]))
    head = ["", "validation"] + (["test"] if part == "test" else [])
    head += ["ms for 1,000 rows", "", "fit, s"]
    plot = ""
    if len(points) > 1:
        svg = charts.labelled_points(points, found.metrics["model"], "ms for 1,000 rows", metric)
        plot = figures([("Score against time", svg)])
    rows = {"test": "the test channel", "validation": "the rows held out"}[part]
    return (
        f'<h2>Leaderboard</h2><p class="muted">By {metric}, the best first. Times are those of predicting '
        f"{rows} in one call, all models below an ensemble included.</p>{table(head, lines)}"
        f"{plot}"
    )


def _milliseconds(model: dict[str, Any], part: str, tables: Tables, found: Evaluation) -> float | None:
    """Time of 1,000 rows, from the time of all rows of the leaderboard's own prediction."""
    seconds = model.get("pred_time_test" if part == "test" else "pred_time_val")
    validation_rows = found.metrics.get("validation_rows", {}).get("rows", 0)
    rows = len(tables.frames["test"]) if part == "test" else validation_rows
    return None if seconds is None or not rows else 1e6 * float(seconds) / rows


def _importance(found: Evaluation) -> str:
    if found.importance is None or not len(found.importance):
        return ""
    shown = found.importance.iloc[:MOST_FEATURES]
    highest = float(shown.max()) or 1.0
    lines = [
        row(str(name), [short(float(value)), bar(float(value) / highest)]) for name, value in shown.items()
    ]
    metric = found.metrics["metric"]
    left = (
        f" The first {len(shown)} of {len(found.importance)} columns."
        if len(shown) < len(found.importance)
        else ""
    )
    return (
        f'<h2>Feature importance</h2><p class="muted">By how much the {metric} gets worse when the values of '
        f"one column are shuffled.{left}</p>{table(['', 'worse by', ''], lines)}"
    )
