"""report.html of a tuning job: the objective by job, the best so far, and what each hyperparameter did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from toolkit.jobs.job_report import FEWEST_POINTS, readable_duration
from toolkit.pages import charts, page
from toolkit.tuning_jobs.tuning_ranges import Range
from toolkit.tuning_jobs.tuning_record import Trial, Tuning

CURVES = 6  # of the best jobs


def write_report(path: Path, tuning: Tuning) -> None:
    """Write the page of a tuning job, finished or not.

    Args:
        path: the file.
        tuning: as it stands.
    """
    job, ranked = tuning.job, tuning.ranked
    others = [trial for trial in tuning.trials if not trial.has_objective]
    names = [one.name for one in job.ranges]
    page.write(
        path,
        job.name,
        (
            page.muted(
                f"Tuning job on this machine: {job.strategy} search, {job.objective.name}, "
                f"{'smaller' if job.objective.minimize else 'larger'} is better."
            ),
            page.facts(_headline(tuning)),
            page.failure(tuning.reason or None),
            page.figures(job.objective.name, dict(_objective_plots(tuning, ranked))),
            page.figures(
                f"{job.objective.name} by hyperparameter",
                {one.name: _by_hyperparameter(one, ranked, tuning) for one in job.ranges} if ranked else {},
            ),
            page.table(
                "Training jobs, best first",
                ("job", *names, job.objective.name, "values", "status", "time"),
                [row(trial, names) for trial in [*ranked, *others]],
                best=0 if ranked else -1,
                most=100,
            ),
            page.table("Search", (), _settings(tuning), 2),
        ),
    )


def row(trial: Trial, names: Sequence[str]) -> list[str]:
    """Number, values, objective, how often it came, status, time: one line of a table, as text."""
    count = str(len(trial.values_of_objective)) if trial.values_of_objective else "-"
    return [
        f"{trial.number:03d}",
        *(shown(trial.values[name]) for name in names),
        f"{trial.objective:.6g}" if trial.values_of_objective else "-",
        count,
        state(trial),
        readable_duration(trial.duration_s) if trial.duration_s is not None else "-",
    ]


def state(trial: Trial) -> str:
    """The status, and whether the rule stopped it."""
    if trial.status == "InProgress":
        return "stopping" if trial.early_stopped else "running"
    return "stopped early" if trial.early_stopped and trial.status == "Stopped" else trial.status.lower()


def shown(value: str) -> str:
    """A hyperparameter's value as a table has it: four digits are enough to read."""
    try:
        return value if value.lstrip("-").isdigit() else f"{float(value):.4g}"
    except ValueError:
        return value


def _headline(tuning: Tuning) -> dict[str, str]:
    ended = [trial for trial in tuning.trials if trial.status != "InProgress"]
    values = {"status": tuning.status, f"of {tuning.job.max_jobs} jobs have ended": str(len(ended))}
    if tuning.best:
        values[f"best {tuning.job.objective.name}, job {tuning.best.number:03d}"] = (
            f"{tuning.best.objective:.6g}"
        )
    if early := sum(trial.early_stopped for trial in ended):
        values["stopped early"] = str(early)
    if failed := sum(trial.status == "Failed" for trial in ended):
        values["failed"] = str(failed)
    return values


def _objective_plots(tuning: Tuning, ranked: Sequence[Trial]) -> Iterator[tuple[str, str]]:
    if not ranked:
        return
    objective, jobs = charts.Axis(tuning.job.objective.name), charts.Axis("job")
    by_number = sorted(ranked, key=lambda trial: trial.number)
    best: list[tuple[float, float]] = []
    for trial in by_number:
        better = not best or tuning.job.objective.better(trial.objective, best[-1][1])
        best.append((trial.number, trial.objective if better else best[-1][1]))
    dotted = {
        name: points
        for name, early in (("job", False), ("stopped early", True))
        if (points := [(t.number, t.objective) for t in by_number if t.early_stopped is early])
    }
    yield "By job", charts.dots_and_line(dotted, {"best so far": best}, jobs, objective)
    curves = {
        f"job {trial.number:03d}": list(enumerate(map(float, trial.values_of_objective), 1))
        for trial in ranked[:CURVES]
        if len(trial.values_of_objective) >= FEWEST_POINTS
    }
    if curves:
        yield (
            "As it came in the log of the best jobs",
            charts.lines(
                {name: [(float(at), value) for at, value in points] for name, points in curves.items()},
                charts.Axis("time in the log"),
                objective,
                from_zero=False,
            ),
        )


def _by_hyperparameter(one: Range, ranked: Sequence[Trial], tuning: Tuning) -> str:
    objective, axis = charts.Axis(tuning.job.objective.name), charts.Axis("")
    if one.kind == "Categorical":
        points = [(float(1 + one.values.index(t.values[one.name])), t.objective) for t in ranked]
        return charts.dots({one.name: points}, axis, objective, names=one.values)
    points = [(float(t.values[one.name]), t.objective) for t in ranked]
    return charts.dots({one.name: points}, axis, objective, logarithmic=one.spread == "Logarithmic")


def _settings(tuning: Tuning) -> list[list[str]]:
    job = tuning.job
    rows = [[one.name, one.describe()] for one in job.ranges]
    rows += [[name, f"{value}, fixed"] for name, value in job.training.hyperparameters.items()]
    rows += [["image", job.training.image], ["seed", str(job.seed)]]
    rows += [["jobs at one time", str(job.parallel_jobs)]]
    if job.training.cpus:
        rows.append(["CPUs for each", f"{job.training.cpus:g}"])
    if job.parents:
        parents = ", ".join(parent.name for parent in job.parents)
        rows.append(["started from", f"{tuning.known} results of {parents}"])
    if tuning.best and tuning.best.model:
        rows.append(["best model", str(tuning.best.model)])
    return rows
