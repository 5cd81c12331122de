"""A training job with what it used: `toolkit.jobs.job.execute`, sampled from outside, with a report page.

Beside the files of `toolkit.jobs.job`, the job's directory gets

    usage.csv      every reading of every host
    report.html    usage and metrics over time, and what they say of the instance's size
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

from toolkit.measuring import usage
from toolkit.measuring.insights import insights
from toolkit.jobs.job import JobResult, execute, write_result
from toolkit.jobs.job_log import OnLine
from toolkit.jobs.job_report import JobFacts, MetricSeries, write_report
from toolkit.jobs.training_job import Plan
from toolkit.measuring.usage_summary import line_of, summarise


def run(plan: Plan, on_line: OnLine = print, stop: threading.Semaphore | None = None) -> JobResult:
    """Run the job, and write what it used.

    Args:
        plan: from `toolkit.jobs.training_job.plan`.
        on_line: receives each log line as it comes.
        stop: each release of it counts as one Ctrl-C.

    Raises:
        ToolkitError: as `execute`.
    """
    recorder, metrics, started = (
        usage.Recorder(plan.job.cpus),
        MetricSeries(plan.job.metrics),
        time.monotonic(),
    )

    def hear(line: str) -> None:
        metrics.add(time.monotonic() - started, line)
        on_line(line)

    result = execute(plan, hear, watch=recorder.watch, stop=stop)
    usage.write_csv(plan.directory / "usage.csv", recorder.hosts)
    figures = [found for host in recorder.hosts if (found := summarise(host))]
    result = replace(
        result,
        usage=tuple(found.as_dict() for found in figures),
        insights=tuple(one.text for one in insights(figures)),
        report=plan.directory / "report.html",
        used=line_of(figures),
    )
    write_report(plan.directory / "report.html", _facts(plan, result), recorder.hosts, metrics.series)
    write_result(plan, result)
    return result


def _facts(plan: Plan, result: JobResult) -> JobFacts:
    directory = plan.directory
    details = {
        "image": result.image,
        **{f"exit code of {host}": str(code) for host, code in result.exit_codes.items()},
        "directory": str(directory),
        "model": _relative(result.model, directory) or "none",
        "output": _relative(result.output, directory) or "none",
        **{
            f"output/data of {host}": ", ".join(files)
            for host in result.host_dirs
            if (files := result.output_files(host))
        },
        **{
            f"channel {channel.name}": f"{channel.source} {channel.content_type or ''}".strip()
            for channel in plan.job.channels
        },
    }
    details |= {"limit of CPUs": f"{plan.job.cpus:g}"} if plan.job.cpus else {}
    return JobFacts(
        result.name,
        result.status,
        result.failure_reason,
        result.duration,
        details,
        plan.job.hyperparameters,
    )


def _relative(path: Path | None, directory: Path) -> str:
    return str(path.relative_to(directory)) if path else ""
