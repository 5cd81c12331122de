"""report.html of a job of images, text or both: one file, without script or network."""

from __future__ import annotations

from html import escape
from pathlib import Path

from opt_ml.report.page import bar, row, short, sources, table, tiles, write_page

from opt_ml_autogluon.multimodal.channels import Data
from opt_ml_autogluon.multimodal.evaluation import Evaluation
from opt_ml_autogluon.multimodal.fitting import Fitted
from opt_ml_autogluon.multimodal.progress import LIBRARIES
from opt_ml_autogluon.progress import versions
from opt_ml_autogluon.report import lead, predictions


def write_report(path: Path, job_name: str, data: Data, fitted: Fitted, found: Evaluation) -> None:
    """Write report.html."""
    epochs = len(fitted.epochs)
    write_page(
        path,
        f"AutoGluon for {'images' if data.columns is None else data.label} ({data.problem_type})",
        lead(job_name, fitted, f"{epochs} epoch{'s' * (epochs != 1)}") + ".",
        (
            tiles(_facts(data, found)),
            _epochs(fitted, found),
            predictions(found.held_out),
            _classes(data),
            _origin(data),
        ),
    )


def _facts(data: Data, found: Evaluation) -> list[tuple[str, str]]:
    facts = []
    for part in ("validation", "test"):
        facts += [
            (f"{part} {name}", short(value)) for name, value in list(found.metrics.get(part, {}).items())[:1]
        ]
    facts.append(("train rows", f"{len(data.frames['train']):,}"))
    facts.append(("parameters", f"{found.metrics['parameters']:,}"))
    return facts


def _epochs(fitted: Fitted, found: Evaluation) -> str:
    if not fitted.epochs:
        return ""
    highest = max(map(abs, fitted.epochs)) or 1.0
    lines = [
        row(f"epoch {number}", [short(score), bar(abs(score) / highest)])
        for number, score in enumerate(fitted.epochs, start=1)
    ]
    metric = escape(str(found.metrics["metric"]))
    return (
        f'<h2>Epochs</h2><p class="muted">The {metric} on the validation rows after each pass. '
        f"Of the best, AutoGluon averages the weights.</p>{table(['', metric, ''], lines)}"
    )


def _classes(data: Data) -> str:
    """Rows of each class, for folders of images, whose files are too many to list."""
    if data.columns is not None:
        return ""
    parts = [name for name in ("train", "validation", "test") if name in data.frames]
    counts = {name: data.frames[name][data.label].value_counts() for name in parts}
    lines = [
        row(str(label), [f"{int(counts[name].get(label, 0)):,}" for name in counts])
        for label in sorted(counts["train"].index, key=str)
    ]
    return f"<h2>Images of each class</h2>{table(['', *counts], lines)}"


def _origin(data: Data) -> str:
    if data.rows:
        return sources({name: rows.sources for name, rows in data.rows.items()}, versions(LIBRARIES))
    libraries = ", ".join(f"{name} {number}" for name, number in versions(LIBRARIES).items())
    return f'<p class="muted">{escape(libraries)}</p>'
