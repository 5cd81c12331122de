"""A hyperparameter tuning job, described and checked; nothing is written or run here.

`TuningJob` says what CreateHyperParameterTuningJob would. `toolkit.tuning_jobs.tuning` runs it.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from toolkit.errors import ToolkitError
from toolkit.jobs import training_job
from toolkit.jobs.job_log import find_metrics
from toolkit.jobs.training_job import TrainingJob
from toolkit.tuning_jobs.tuning_ranges import EXAMPLES, Range, problems

Strategy = Literal["Bayesian", "Random", "Grid", "Hyperband"]

STRATEGIES: tuple[Strategy, ...] = ("Bayesian", "Random", "Grid", "Hyperband")
MOST_RANGES = 30
MOST_JOBS = 750  # the service's default quota
MOST_PARENTS = 5
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,31}")


@dataclass(frozen=True)
class Objective:
    """The metric that the jobs are ranked by.

    Attributes:
        name: as the log has it, such as `validation-rmse`.
        minimize: smaller is better.
    """

    name: str
    minimize: bool

    @property
    def direction(self) -> str:
        """As the API names it."""
        return "Minimize" if self.minimize else "Maximize"

    def better(self, one: float, other: float) -> bool:
        """True when `one` is better than `other`."""
        return one < other if self.minimize else one > other


def parse_resources(low: int | None, high: int | None) -> tuple[int, int] | None:
    """`--min-resource` and `--max-resource`: both or neither.

    Raises:
        ToolkitError: one of the two.
    """
    if low is None and high is None:
        return None
    if low is None or high is None:
        raise ToolkitError("--min-resource and --max-resource are given together.")
    return low, high


@dataclass(frozen=True)
class TuningJob:
    """What a CreateHyperParameterTuningJob request says.

    Attributes:
        training: the job that is run again and again; its hyperparameters are the static ones, its name
            and `jobs_dir` are replaced.
        objective: what to rank by.
        ranges: what to search.
        name: at most 32 characters; empty for the image's name and the time.
        strategy: how the next values are chosen.
        max_jobs: in all.
        parallel_jobs: at one time; they share the CPUs of the machine evenly.
        early_stopping: stop a job that is worse than the median of those before it (TRAIN-115).
        resources: for Hyperband: how often a job emits the objective, at least and at most.
        seed: of the search. The same jobs come again where they run one after another.
        max_failed: so many failed jobs end the tuning job.
        parents: directories of tuning jobs whose results the search starts from.
        jobs_dir: where the tuning job's directory is made.
    """

    training: TrainingJob
    objective: Objective
    ranges: tuple[Range, ...]
    name: str = ""
    strategy: Strategy = "Bayesian"
    max_jobs: int = 20
    parallel_jobs: int = 1
    early_stopping: bool = False
    resources: tuple[int, int] | None = None
    seed: int = 0
    max_failed: int = 3
    parents: tuple[Path, ...] = ()
    jobs_dir: Path = field(default_factory=lambda: Path("jobs"))

    @property
    def directory(self) -> Path:
        """Where the tuning job and its training jobs lie."""
        return self.jobs_dir / self.name

    def describe(self) -> str:
        """What would be searched, and the first training job as it would be run."""
        config = [
            f"{self.strategy} search, {self.objective.direction.lower()} {self.objective.name}",
            *(f"  {one.name}: {one.describe()}" for one in self.ranges),
            f"at most {self.max_jobs} training jobs, {self.parallel_jobs} at one time, in {self.directory}/",
            "The first job, with the lowest or first value of each range:",
        ]
        return "\n".join([*config, self._first().describe()])

    def as_json(self) -> str:
        """The same as one JSON object."""
        document = {
            "name": self.name,
            "directory": str(self.directory),
            "strategy": self.strategy,
            "objective": {"name": self.objective.name, "type": self.objective.direction},
            "ranges": {one.name: one.describe() for one in self.ranges},
            "max_jobs": self.max_jobs,
            "parallel_jobs": self.parallel_jobs,
            "first_job": json.loads(self._first().as_json()),
        }
        return json.dumps(document, indent=2)

    def _first(self) -> training_job.Plan:
        values = {one.name: one.values[0] if one.values else f"{one.low:.12g}" for one in self.ranges}
        return training_job.plan(self.training_job(1, values))

    def objective_in(self, line: str) -> float | None:
        """The objective's value in a line of the log as the container wrote it (TRAIN-110, TRAIN-111)."""
        return find_metrics([line], self.training.metrics).get(self.objective.name)

    def training_job(self, number: int, values: Mapping[str, str]) -> TrainingJob:
        """The training job of that number, from 1, with its tuned values as text.

        Each has checkpoints of its own: another one's would make it resume with other hyperparameters.
        """
        name = f"{self.name}-{number:03d}-{secrets.token_hex(4)}"
        return replace(
            self.training,
            name=name,
            # The platform adds the name of the metric (TRAIN-112).
            hyperparameters={
                **self.training.hyperparameters,
                **values,
                "_tuning_objective_metric": self.objective.name,
            },
            checkpoint_dir=checkpoints / name if (checkpoints := self.training.checkpoint_dir) else None,
            jobs_dir=self.directory,
        )


def plan(job: TuningJob) -> TuningJob:
    """Check the description and fill in the name and each job's share of the CPUs.

    Raises:
        ToolkitError: what the API would refuse, or a training job that cannot be run.
    """
    share = round((os.cpu_count() or 1) / job.parallel_jobs, 2) if job.parallel_jobs > 1 else None
    training = replace(job.training, cpus=job.training.cpus or share)
    _check_ranges(job)
    size = math.prod(one.size for one in job.ranges)
    named = replace(
        job,
        name=job.name or _default_name(job.training.image),
        training=training,
        max_jobs=int(min(job.max_jobs, size)),  # there are no more combinations than that
    )
    _check_limits(named)
    named._first()  # a channel that is missing is told now, and not by the first job
    return named


def _default_name(image: str) -> str:
    base = re.sub(r"[^a-zA-Z0-9]+", "-", image.rpartition("/")[2].partition(":")[0])[:18].strip("-")
    return f"{base or 'tuning'}-{datetime.now().astimezone():%y%m%d-%H%M%S}"


def _check_limits(job: TuningJob) -> None:
    if not _NAME.fullmatch(job.name) or len(job.name) > 32:
        raise ToolkitError(
            f"The tuning job's name {job.name!r} is not 1 to 32 letters, digits and inner hyphens."
        )
    if not 1 <= len(job.ranges) <= MOST_RANGES:
        raise ToolkitError(
            f"A tuning job searches 1 to {MOST_RANGES} hyperparameters; this one {len(job.ranges)}.",
            EXAMPLES,
        )
    if not 1 <= job.max_jobs <= MOST_JOBS:
        raise ToolkitError(f"--max-jobs {job.max_jobs}: 1 to {MOST_JOBS} is allowed.")
    if job.parallel_jobs < 1:
        raise ToolkitError(f"--parallel-jobs {job.parallel_jobs}: at least 1 is needed.")
    if job.max_failed < 1 or job.seed < 0:
        raise ToolkitError("--max-failed is 1 or more, and --seed 0 or more.")
    if len(job.parents) > MOST_PARENTS:
        raise ToolkitError(f"A tuning job starts from at most {MOST_PARENTS} earlier ones.")
    if not 0 < len(job.objective.name) <= 255:  # TRAIN-110
        raise ToolkitError("The objective's name has 1 to 255 characters.")
    _check_strategy(job)


def _check_strategy(job: TuningJob) -> None:
    if job.strategy == "Grid" and any(one.kind != "Categorical" for one in job.ranges):
        raise ToolkitError(
            "Grid takes categorical ranges alone, as on SageMaker.", "Write the values: --range depth=4,6,8"
        )
    if (job.strategy == "Hyperband") != bool(job.resources):
        raise ToolkitError(
            "Hyperband, and only Hyperband, takes --min-resource and --max-resource: how often a job prints "
            "the objective, at least and at most."
        )
    if job.strategy == "Hyperband" and job.early_stopping:
        raise ToolkitError("Hyperband stops jobs by itself.", "Leave out --early-stopping.")
    if job.resources and not 1 <= job.resources[0] < job.resources[1]:
        raise ToolkitError(
            f"--min-resource {job.resources[0]} is not below --max-resource {job.resources[1]}."
        )


def _check_ranges(job: TuningJob) -> None:
    names = [one.name for one in job.ranges]
    for one in job.ranges:
        if names.count(one.name) > 1:
            raise ToolkitError(f"--range {one.name} is given twice.")
        if one.name in job.training.hyperparameters:
            raise ToolkitError(
                f"{one.name} is both a range and a fixed hyperparameter.", "Leave one of the two out."
            )
        if problem := next(problems(one), ""):
            raise ToolkitError(f"--range {one.name}: {problem}")
