"""What a tuning job has come to: its training jobs, the best of them, and `tuning.json`.

`tuning.json` is what DescribeHyperParameterTuningJob answers, with the `TrainingJobSummaries` of
ListTrainingJobsForHyperParameterTuningJob in it, and beside each its `ObjectiveValues` and `ModelArtifacts`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from toolkit.errors import ToolkitError
from toolkit.jobs import job_request
from toolkit.tuning_jobs.tuning_job import TuningJob
from toolkit.tuning_jobs.tuning_ranges import Range
from toolkit.tuning_jobs.tuning_search import Known

_ARN = "arn:aws:sagemaker:us-east-1:000000000000"


@dataclass(frozen=True)
class Trial:
    """One training job of a tuning job.

    Attributes:
        number: from 1.
        name: of the training job.
        values: of the tuned hyperparameters, as text.
        status: `InProgress`, `Completed`, `Failed` or `Stopped`.
        values_of_objective: as they came in the log.
        early_stopped: by the rule, and not by the caller.
        used: CPU and memory, in one line.
    """

    number: int
    name: str
    values: Mapping[str, str]
    status: str = "InProgress"
    values_of_objective: tuple[float, ...] = ()
    early_stopped: bool = False
    failure_reason: str | None = None
    duration_s: float | None = None
    model: Path | None = None
    used: str = ""
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def has_objective(self) -> bool:
        """It ended in order, or was stopped, and printed its objective."""
        return self.status in {"Completed", "Stopped"} and bool(self.values_of_objective)

    @property
    def objective(self) -> float:
        """The last value, which is the one that counts."""
        return self.values_of_objective[-1]

    @property
    def objective_status(self) -> str:
        """As the API names it."""
        if self.status == "InProgress":
            return "Pending"
        return "Succeeded" if self.has_objective else "Failed"


@dataclass
class Tuning:
    """A tuning job as it stands.

    Attributes:
        status: `InProgress`, `Stopping`, `Completed`, `Failed` or `Stopped`.
        reason: why it ended before its time; empty where it did not.
        known: results of earlier tuning jobs that the search started from.
    """

    job: TuningJob
    trials: list[Trial] = field(default_factory=list)
    status: str = "InProgress"
    reason: str = ""
    known: int = 0
    ended: bool = False
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def ranked(self) -> list[Trial]:
        """Those with an objective, best first; of two alike the earlier."""
        sign = 1 if self.job.objective.minimize else -1
        return sorted(
            (trial for trial in list(self.trials) if trial.has_objective),
            key=lambda trial: (sign * trial.objective, trial.number),
        )

    @property
    def best(self) -> Trial | None:
        """The best job that left a model; the best of all where none did."""
        ranked = self.ranked
        return next((trial for trial in ranked if trial.model), ranked[0] if ranked else None)


def describe(tuning: Tuning) -> dict[str, Any]:
    """The document of `tuning.json`."""
    job, now = tuning.job, datetime.now(UTC)
    states = Counter(trial.status for trial in tuning.trials)
    objectives = Counter(trial.objective_status for trial in tuning.trials)
    document: dict[str, Any] = {
        "HyperParameterTuningJobName": job.name,
        "HyperParameterTuningJobArn": f"{_ARN}:hyper-parameter-tuning-job/{job.name}",
        "HyperParameterTuningJobConfig": _config(job),
        "TrainingJobDefinition": _definition(job),
        "HyperParameterTuningJobStatus": tuning.status,
        "CreationTime": tuning.created.isoformat(),
        "LastModifiedTime": now.isoformat(),
        "TrainingJobStatusCounters": {
            "Completed": states["Completed"],
            "InProgress": states["InProgress"],
            "RetryableError": 0,
            "NonRetryableError": states["Failed"],
            "Stopped": states["Stopped"],
        },
        "ObjectiveStatusCounters": {state: objectives[state] for state in ("Succeeded", "Pending", "Failed")},
    }
    if tuning.ended:
        document["HyperParameterTuningEndTime"] = now.isoformat()
    if tuning.reason:
        document["FailureReason"] = tuning.reason
    if job.parents:
        document["WarmStartConfig"] = {
            "ParentHyperParameterTuningJobs": [
                {"HyperParameterTuningJobName": parent.name} for parent in job.parents
            ],
            "WarmStartType": "TransferLearning",
        }
    if tuning.best:
        document["BestTrainingJob"] = _summary(tuning.best, job)
    document["TrainingJobSummaries"] = [_summary(trial, job) for trial in tuning.trials]
    return document


def _config(job: TuningJob) -> dict[str, Any]:
    config: dict[str, Any] = {
        "Strategy": job.strategy,
        "HyperParameterTuningJobObjective": {
            "Type": job.objective.direction,
            "MetricName": job.objective.name,
        },
        "ResourceLimits": {
            "MaxNumberOfTrainingJobs": job.max_jobs,
            "MaxParallelTrainingJobs": job.parallel_jobs,
        },
        "ParameterRanges": {
            f"{kind}ParameterRanges": [_range(one) for one in job.ranges if one.kind == kind]
            for kind in ("Integer", "Continuous", "Categorical")
        },
        "TrainingJobEarlyStoppingType": "Auto" if job.early_stopping else "Off",
        "RandomSeed": job.seed,
    }
    if job.resources:
        low, high = job.resources
        config["StrategyConfig"] = {"HyperbandStrategyConfig": {"MinResource": low, "MaxResource": high}}
    return config


def _range(one: Range) -> dict[str, Any]:
    if one.kind == "Categorical":
        return {"Name": one.name, "Values": list(one.values)}
    return {
        "Name": one.name,
        "MinValue": f"{one.low:.12g}",
        "MaxValue": f"{one.high:.12g}",
        "ScalingType": one.scaling,
    }


def _definition(job: TuningJob) -> dict[str, Any]:
    """The CreateTrainingJob request, with what a tuning job calls by another name."""
    request = job_request.request(job.training)
    del request["TrainingJobName"]
    if job.training.environment:  # TRAIN-27: values may be secrets
        request["Environment"] = dict.fromkeys(job.training.environment, "******")
    return {"StaticHyperParameters": request.pop("HyperParameters", {}), **request}


def _summary(trial: Trial, job: TuningJob) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "TrainingJobName": trial.name,
        "TrainingJobArn": f"{_ARN}:training-job/{trial.name}",
        "TuningJobName": job.name,
        "CreationTime": trial.created.isoformat(),
        "TrainingJobStatus": trial.status,
        "TunedHyperParameters": dict(trial.values),
        "ObjectiveStatus": trial.objective_status,
        "ObjectiveValues": list(trial.values_of_objective),
    }
    if trial.has_objective:
        summary["FinalHyperParameterTuningJobObjectiveMetric"] = {
            "Type": job.objective.direction,
            "MetricName": job.objective.name,
            "Value": trial.objective,
        }
    if trial.failure_reason:
        summary["FailureReason"] = trial.failure_reason
    if trial.duration_s is not None:
        summary["TrainingTimeInSeconds"] = round(trial.duration_s, 3)
    if trial.model:
        summary["ModelArtifacts"] = {"S3ModelArtifacts": str(trial.model)}
    return summary


def write(path: Path, document: Mapping[str, Any]) -> None:
    """The document as JSON, whole or not at all."""
    written = path.with_name(f".{path.name}")
    written.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    written.rename(path)


def known_results(directory: Path) -> list[Known]:
    """What an earlier tuning job learnt, from its `tuning.json`.

    Raises:
        ToolkitError: there is none, or it is another file.
    """
    path = directory / "tuning.json" if directory.is_dir() else directory
    try:
        summaries = json.loads(path.read_text(encoding="utf-8"))["TrainingJobSummaries"]
        return [
            Known(
                summary["TunedHyperParameters"],
                float(summary["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]),
            )
            for summary in summaries
            if "FinalHyperParameterTuningJobObjectiveMetric" in summary
        ]
    except OSError as error:
        raise ToolkitError(
            f"{path} cannot be read: {error.strerror}.", "Name the directory of a tuning job: jobs/NAME"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise ToolkitError(f"{path} is not the record of a tuning job.") from None
