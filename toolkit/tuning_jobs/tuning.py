"""A hyperparameter tuning job on this machine: runs a `TuningJob`, some training jobs at a time.

All of it lies in one directory, `jobs/<tuning job>/`: a directory for each training job as
`toolkit.jobs.job` and `toolkit.jobs.measured_job` leave it, `tuning.json` in the terms of
DescribeHyperParameterTuningJob and `report.html`. Both are written anew after each job, so that nothing is
lost when this program is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from difflib import get_close_matches

from toolkit.errors import ToolkitError
from toolkit.jobs import measured_job, training_job
from toolkit.jobs.job import JobResult
from toolkit.jobs.job_log import unstamped
from toolkit.machine.containers import engine
from toolkit.tuning_jobs.early_stopping import is_worse_than_median
from toolkit.tuning_jobs.tuning_job import TuningJob
from toolkit.tuning_jobs.tuning_record import Trial, Tuning, describe, known_results, write
from toolkit.tuning_jobs.tuning_report import write_report
from toolkit.tuning_jobs.tuning_search import Search

OnChange = Callable[[Tuning], None]

_POLL = 0.25  # seconds between two looks at Ctrl-C; a blocking wait would keep it out


class Tuner:
    """Runs one tuning job.

    Args:
        job: from `toolkit.tuning_jobs.tuning_job.plan`.
        on_change: told whenever a job starts, prints its objective or ends; from several threads.
    """

    def __init__(self, job: TuningJob, on_change: OnChange = lambda _: None) -> None:
        self._job = job
        self._on_change = on_change
        known = [result for parent in job.parents for result in known_results(parent)]
        self._search = Search(job, known)
        self._tuning = Tuning(job, known=self._search.known)
        self._stops: dict[int, threading.Semaphore] = {}
        self._lock = threading.RLock()

    def run(self) -> Tuning:
        """Run until all jobs are done, too many have failed, or Ctrl-C.

        The first Ctrl-C stops the jobs that run as StopTrainingJob does, a second one kills them.

        Raises:
            ToolkitError: no engine, no such image, or the directory is there already.
        """
        engine().image(self._job.training.image)  # told before anything is written, and once
        try:
            self._job.directory.mkdir(parents=True)
        except FileExistsError:
            raise ToolkitError(
                f"{self._job.directory} exists already.",
                f"Choose another --job-name, or go on from it: --warm-start-from {self._job.directory}",
            ) from None
        except OSError as error:
            raise ToolkitError(
                f"{self._job.directory} cannot be made: {error.strerror}.",
                "Choose another directory with --output.",
            ) from None
        with ThreadPoolExecutor(self._job.parallel_jobs) as pool:
            running: set[Future[None]] = set()
            while True:
                try:
                    self._fill(pool, running)
                    if not running:
                        break
                    done, running = wait(running, timeout=_POLL, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
                except KeyboardInterrupt:
                    self._stop_all("Stopped by Ctrl-C.", again=bool(self._tuning.reason))
                except ToolkitError as error:
                    self._stop_all(str(error))
                except BaseException:
                    self._stop_all("This program broke.")
                    raise
        self._end()
        return self._save()

    def _fill(self, pool: ThreadPoolExecutor, running: set[Future[None]]) -> None:
        """Start as many jobs as may run."""
        while len(running) < self._job.parallel_jobs and not self._tuning.reason:
            number = len(self._tuning.trials) + 1
            values = self._search.ask(number) if number <= self._job.max_jobs else None
            if values is None:
                return
            training = self._job.training_job(number, values)
            plan = training_job.plan(training)
            with self._lock:
                if self._tuning.reason:  # a job has ended the search while this one was being planned
                    return
                self._stops[number] = threading.Semaphore(0)
                self._tuning.trials.append(Trial(number, training.name, values))
                running.add(pool.submit(self._run_one, number, plan))
            self._save()

    def _run_one(self, number: int, plan: training_job.Plan) -> None:
        self._update(number)
        try:
            result = measured_job.run(plan, lambda line: self._hear(number, line), self._stops[number])
        except BaseException as error:
            self._search.tell(number, None)
            told = str(error) if isinstance(error, ToolkitError) else "It could not be run."
            self._update(number, status="Failed", failure_reason=told)
            raise
        with self._lock:
            trial = self._finish(number, result)
        self._search.tell(number, trial.objective if trial.has_objective else None)
        self._judge(trial, result)
        self._save()

    def _finish(self, number: int, result: JobResult) -> Trial:
        return self._update(
            number,
            status=result.status,
            failure_reason=result.failure_reason,
            duration_s=result.duration,
            model=result.model,
            used=result.used,
        )

    def _hear(self, number: int, line: str) -> None:
        """Take the objective from a line; stop the job where the rule says so (TRAIN-114, TRAIN-115)."""
        value = self._job.objective_in(unstamped(line))
        if value is None:
            return
        with self._lock:
            values = (*self._trial(number).values_of_objective, value)
            trial = self._update(number, values_of_objective=values)
            if not trial.early_stopped and self._is_hopeless(trial):
                self._update(number, early_stopped=True)
                self._stops[number].release()

    def _is_hopeless(self, trial: Trial) -> bool:
        if self._job.resources:
            step = len(trial.values_of_objective)
            return self._search.report(trial.number, step, trial.values_of_objective[-1])
        if not self._job.early_stopping:
            return False
        previous = [
            other.values_of_objective for other in self._tuning.trials if other.status != "InProgress"
        ]
        return is_worse_than_median(trial.values_of_objective, previous, self._job.objective.minimize)

    def _judge(self, trial: Trial, result: JobResult) -> None:
        """End the tuning job where going on makes no sense."""
        objective = self._job.objective.name
        if trial.status == "Completed" and not trial.has_objective and not self._tuning.ranked:
            found = ", ".join(nearest_first(objective, list(result.metrics))[:12]) or "none"
            self._stop_all(
                f"The log of {trial.name} has no metric {objective}; it has: {found}. Name one of these with "
                f"--objective, or say how to find it: --metric '{objective}=REGEX'."
            )
        failed = [other for other in self._tuning.trials if other.status == "Failed"]
        if len(failed) >= self._job.max_failed:
            reason = (failed[0].failure_reason or "").partition("\n")[0]
            self._stop_all(f"{len(failed)} training jobs failed. The first: {reason}")

    def _stop_all(self, reason: str, again: bool = False) -> None:
        """No further jobs; those that run get SIGTERM as by StopTrainingJob, the second time SIGKILL."""
        with self._lock:
            if self._tuning.reason and not again:
                return  # they are stopping, and a second signal would kill them while they save
            self._tuning.reason = self._tuning.reason or reason
            self._tuning.status = "Stopping"
            for trial in self._tuning.trials:
                if trial.status == "InProgress" and (again or not trial.early_stopped):
                    self._stops[trial.number].release()
        self._on_change(self._tuning)

    def _final_status(self) -> str:
        if self._tuning.reason.startswith("Stopped"):
            return "Stopped"
        return "Failed" if self._tuning.reason or not self._tuning.ranked else "Completed"

    def _trial(self, number: int) -> Trial:
        return self._tuning.trials[number - 1]

    def _update(self, number: int, **changes: object) -> Trial:
        with self._lock:
            trial = replace(self._trial(number), **changes)  # type: ignore[arg-type]
            self._tuning.trials[number - 1] = trial
        self._on_change(self._tuning)
        return trial

    def _end(self) -> None:
        with self._lock:
            self._tuning.status = self._final_status()
            self._tuning.ended = True
        self._on_change(self._tuning)

    def _save(self) -> Tuning:
        with self._lock:
            write(self._job.directory / "tuning.json", describe(self._tuning))
            write_report(self._job.directory / "report.html", self._tuning)
        return self._tuning


def nearest_first(name: str, known: Sequence[str]) -> list[str]:
    """`known`, those first that `name` may be a misprint of: an algorithm with folds prints many metrics."""
    near = get_close_matches(name, known, n=3)
    return [*near, *(one for one in known if one not in near)]
