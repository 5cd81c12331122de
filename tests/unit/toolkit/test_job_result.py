"""What a person reads at a job's end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toolkit.jobs.job_description import TrainingJob
from toolkit.jobs.job_result import JobResult


def result(directory: Path, **more: Any) -> JobResult:
    usual: dict[str, Any] = {
        "job": TrainingJob("opt-ml/x:latest", (), name="a-job"),
        "status": "Completed",
        "secondary_status": "Completed",
        "exit_code": 0,
        "exit_codes": {"algo-1": 0},
        "failure_reason": None,
        "failed_host": None,
        "metrics": {},
        "model": None,
        "output": None,
        "log": directory / "log.txt",
        "host_dirs": {"algo-1": directory / "algo-1"},
        "duration": 2.5,
    }
    return JobResult(**(usual | more))


def test_the_files_that_the_program_left_are_named_and_the_page_with_what_was_used(tmp_path: Path) -> None:
    data = tmp_path / "algo-1" / "output" / "data"
    (data / "plots").mkdir(parents=True)
    (data / "metrics.json").touch()
    (data / ".hidden").touch()
    said = result(tmp_path, report=tmp_path / "report.html", used="CPU 0.4 of 2 cores").closing()
    assert said == (
        f"Output: {data} (metrics.json, plots/)\nReport: {tmp_path / 'report.html'} (CPU 0.4 of 2 cores)"
    )


def test_a_job_without_output_has_the_page_alone(tmp_path: Path) -> None:
    assert result(tmp_path, report=tmp_path / "report.html").closing() == f"Report: {tmp_path}/report.html"
