"""How a tuning job is shown: a live table, or a line for each job where there is no screen."""

from __future__ import annotations

import threading
from typing import TextIO

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from toolkit.live_view import LiveView
from toolkit.tuning_jobs.tuning_record import Trial, Tuning
from toolkit.tuning_jobs.tuning_report import row, shown, state

MOST_ROWS = 20
_STYLES = {
    "failed": "red",
    "stopped": "yellow",
    "stopped early": "yellow",
    "running": "cyan",
    "stopping": "yellow",
}


class View(LiveView):
    """Shows a tuning job on `stream`; `update` may be called from several threads.

    Args:
        stream: a terminal gets a table that is drawn anew, anything else one line for each job that ends.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._told: set[int] = set()
        self._lock = threading.Lock()

    def update(self, tuning: Tuning) -> None:
        """Show how it stands."""
        with self._lock:
            if self._console.is_terminal:
                self._live.update(_screen(tuning, self._console.height), refresh=True)
                return
            for trial in list(tuning.trials):
                if trial.status != "InProgress" and trial.number not in self._told:
                    self._told.add(trial.number)
                    self._console.print(_line(trial, tuning), soft_wrap=True)

    def close(self, tuning: Tuning) -> None:
        """Say what has come of it: all jobs, best first, and the best one."""
        self._live.stop()
        self._console.print(_table(tuning, [*tuning.ranked, *_others(tuning)][:MOST_ROWS]))
        if len(tuning.trials) > MOST_ROWS:
            self._console.print(f"... and {len(tuning.trials) - MOST_ROWS} more in the report.", style="dim")
        for text in _ending(tuning):
            self._console.print(text, soft_wrap=True)


def _screen(tuning: Tuning, height: int) -> RenderableType:
    """The newest jobs, as many as there is room for, under a line that says how far it is."""
    trials = list(tuning.trials)
    room = max(3, height - 8)
    return Group(Text(_progress(tuning), style="bold"), _table(tuning, trials[-room:]))


def _progress(tuning: Tuning) -> str:
    ended = sum(trial.status != "InProgress" for trial in list(tuning.trials))
    running = len(tuning.trials) - ended
    best = tuning.best
    so_far = (
        f"; best {tuning.job.objective.name} {best.objective:.6g} (job {best.number:03d})" if best else ""
    )
    doing = "stopping" if tuning.status == "Stopping" else "running"
    return f"{tuning.job.name}: {ended} of {tuning.job.max_jobs} jobs done, {running} {doing}{so_far}"


def _table(tuning: Tuning, trials: list[Trial]) -> Table:
    names = [one.name for one in tuning.job.ranges]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("job")
    for name in (*names, tuning.job.objective.name, "values"):
        table.add_column(name, justify="right", overflow="fold")
    table.add_column("status", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    best = tuning.best
    for trial in trials:
        style = "bold green" if trial is best else _STYLES.get(state(trial), "")
        table.add_row(*row(trial, names), style=style)
    return table


def _line(trial: Trial, tuning: Tuning) -> str:
    values = " ".join(f"{name}={shown(value)}" for name, value in trial.values.items())
    worth = f" {tuning.job.objective.name} {trial.objective:.6g}" if trial.has_objective else ""
    best = " (best so far)" if trial is tuning.best else ""
    why = f": {trial.failure_reason.partition(chr(10))[0]}" if trial.failure_reason else ""
    return f"{trial.number:03d} {values} {state(trial)}{worth}{best}{why}"


def _others(tuning: Tuning) -> list[Trial]:
    return [trial for trial in tuning.trials if not trial.has_objective]


def _ending(tuning: Tuning) -> list[str]:
    job, best = tuning.job, tuning.best
    lines = [""]
    if tuning.reason:
        lines.append(tuning.reason)
    if best:
        values = " ".join(f"{name}={value}" for name, value in best.values.items())
        lines.append(f"Best: {best.name}, {job.objective.name} {best.objective:.6g}, with {values}")
        lines += [f"Model: {best.model}"] if best.model else []
        lines += [f"It used: {best.used}"] if best.used else []
    lines.append(f"{tuning.status}: {job.directory}/report.html, {job.directory}/tuning.json")
    return lines
