"""How a training job ended, for a person and in the terms of DescribeTrainingJob."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from toolkit.jobs import job_request
from toolkit.artifacts import readable_size, total_size
from toolkit.jobs.job_description import TrainingJob, job_arn

# Values of such variables stay out of files (TRAIN-27).
_SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PRIVATE", "CREDS")


@dataclass
class Transition:
    """One of SecondaryStatusTransitions."""

    status: str
    message: str
    start: datetime
    end: datetime | None = None

    def as_document(self) -> dict[str, str]:
        """As DescribeTrainingJob has it, times as ISO 8601 with their zone."""
        document = {"Status": self.status, "StartTime": self.start.isoformat()}
        if self.end:
            document["EndTime"] = self.end.isoformat()
        return {**document, "StatusMessage": self.message}


class Course:
    """The secondary statuses that a job went through, in their order."""

    def __init__(self) -> None:
        self.transitions: list[Transition] = []

    def enter(self, status: str, message: str) -> None:
        """The job is in `status` from now on."""
        now = datetime.now().astimezone()
        if self.transitions:
            self.transitions[-1].end = now
        self.transitions.append(Transition(status, message, now))

    def has_been(self, status: str) -> bool:
        """The job is in `status`, or was."""
        return any(transition.status == status for transition in self.transitions)

    def finish(self, status: str, message: str) -> None:
        """`status` is the last."""
        self.enter(status, message)
        self.transitions[-1].end = self.transitions[-1].start


@dataclass(frozen=True)
class JobResult:
    """How a job ended, in the terms of DescribeTrainingJob.

    Attributes:
        job: as it was run, with its name.
        status: `Completed`, `Failed` or `Stopped` (TRAIN-76, TRAIN-94).
        secondary_status: the last of `transitions`: `status`, or `MaxRuntimeExceeded`.
        exit_code: of the host that failed first; where none failed that of the first host.
        exit_codes: host -> exit code, of the last start.
        failure_reason: the first 1024 characters of the failure file (TRAIN-75), or what this toolkit
            knows where there is no such file; None unless the status is `Failed`.
        failed_host: the host that the reason is of.
        metrics: name -> last value found in the log (TRAIN-110).
        model, output: the archives, or directories of a job that does not compress (TRAIN-71); None where
            the hosts left nothing.
        log: all lines; the streams of the hosts are beside it, in `logs`.
        host_dirs: host -> what it had under /opt/ml: input, model, output.
        duration: seconds from the containers' start to their end, of all starts together.
        interruptions: spot interruptions that the job went through (TRAIN-96).
        by_hand: stopped by Ctrl-C.
        transitions: its secondary statuses.
        warnings: one line each.
        used: what it used, in one line; empty where it was not sampled.
        usage: one `toolkit.measuring.usage_summary.Usage` a host, as a mapping.
        insights: what that says of the instance's size, one sentence each.
        report: the job's page.
    """

    job: TrainingJob
    status: str
    secondary_status: str
    exit_code: int
    exit_codes: Mapping[str, int]
    failure_reason: str | None
    failed_host: str | None
    metrics: Mapping[str, float]
    model: Path | None
    output: Path | None
    log: Path
    host_dirs: Mapping[str, Path]
    duration: float
    interruptions: int = 0
    by_hand: bool = False
    transitions: tuple[Transition, ...] = ()
    warnings: tuple[str, ...] = field(default=())
    used: str = ""
    usage: tuple[Mapping[str, Any], ...] = ()
    insights: tuple[str, ...] = ()
    report: Path | None = None

    @property
    def image(self) -> str:
        """The job's image."""
        return self.job.image

    @property
    def name(self) -> str:
        """The job's name."""
        return self.job.name

    @property
    def host_dir(self) -> Path:
        """Of the first host."""
        return next(iter(self.host_dirs.values()))

    def output_files(self, host: str) -> list[str]:
        """What lies in `output/data` of a host: names, folders with a slash; without hidden ones."""
        directory = self.host_dirs[host] / "output" / "data"
        entries = directory.iterdir() if directory.is_dir() else ()
        return sorted(entry.name + "/" * entry.is_dir() for entry in entries if entry.name[0] != ".")

    def closing(self) -> str:
        """What is to be looked at, and what the job used: the lines below `summary`."""
        lines = [
            f"Output: {directory}/output/data ({', '.join(self.output_files(host))})"
            for host, directory in self.host_dirs.items()
            if self.output_files(host)
        ]
        used = f" ({self.used})" if self.used else ""
        return "\n".join([*lines, *([f"Report: {self.report}{used}"] if self.report else [])])

    def summary(self) -> str:
        """One line where it went well; the reason first and then the log where it did not."""
        seconds = f"{self.duration:.1f} s{self._interrupted()}"
        if self.status == "Completed":
            size = f"{self.model} ({readable_size(total_size(self.model))})" if self.model else "no model"
            return f"Completed in {seconds}: {size}"
        code = f"exit code {self.exit_code}"
        if self.failed_host and len(self.host_dirs) > 1:
            code = f"{code} of {self.failed_host}"
        if self.status == "Stopped":
            kept = f"; kept {self.model}" if self.model else ""
            why = f" ({self.secondary_status})" if self.secondary_status != "Stopped" else ""
            return f"Stopped{why} after {seconds}, {code}{kept}. Log: {self.log}"
        # Its first line: the log above has the rest, and a traceback is not read twice.
        reason = (self.failure_reason or "").partition("\n")[0]
        return f"{reason}\nFailed after {seconds}, {code}. Log: {self.log}"

    def describe(self) -> dict[str, Any]:
        """What DescribeTrainingJob would answer; under `Local` what only this machine knows."""
        first, last = self.transitions[0].start, self.transitions[-1].start
        document = job_request.request(self.job)
        document["Environment"] = {
            name: "******" if any(word in name.upper() for word in _SECRET_WORDS) else value
            for name, value in self.job.environment.items()
        }
        document |= {
            "TrainingJobArn": job_arn(self.name),
            "TrainingJobStatus": self.status,
            "SecondaryStatus": self.secondary_status,
            "ModelArtifacts": {"S3ModelArtifacts": str(self.model) if self.model else ""},
            "CreationTime": first.isoformat(),
            "TrainingStartTime": self._started().isoformat(),
            "TrainingEndTime": last.isoformat(),
            "LastModifiedTime": last.isoformat(),
            "SecondaryStatusTransitions": [transition.as_document() for transition in self.transitions],
            "FinalMetricDataList": [
                {"MetricName": name, "Value": value, "Timestamp": last.isoformat()}
                for name, value in self.metrics.items()
            ],
            "TrainingTimeInSeconds": max(1, round(self.duration)),
            "BillableTimeInSeconds": max(1, round(self.duration)),
        }
        if self.failure_reason:
            document["FailureReason"] = self.failure_reason
        document["Local"] = {
            "ExitCodes": dict(self.exit_codes),
            "FailedHost": self.failed_host,
            "Interruptions": self.interruptions,
            "Seconds": self.duration,
            "Log": str(self.log),
            "Output": str(self.output) if self.output else None,
            "HostDirectories": {host: str(path) for host, path in self.host_dirs.items()},
            "Warnings": list(self.warnings),
            "Usage": [dict(usage) for usage in self.usage],
            "Insights": list(self.insights),
            "Report": str(self.report) if self.report else None,
        }
        return document

    def as_json(self) -> str:
        """`describe` as one JSON object."""
        return json.dumps(self.describe(), indent=2)

    def _started(self) -> datetime:
        return next(part.start for part in self.transitions if part.status == "Training")

    def _interrupted(self) -> str:
        if not self.interruptions:
            return ""
        return f" and {self.interruptions} interruption{'s' if self.interruptions > 1 else ''}"
