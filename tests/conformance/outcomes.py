"""How a job may end."""

from __future__ import annotations

from toolkit.jobs.job import JobResult, Plan, execute

TOO_SHORT = "the job was over before it could be stopped: `long_hyperparameters` of a profile make it long"


def last_line(result: JobResult) -> str:
    """Of the job's log, as a report has it."""
    lines = [line.strip() for line in result.log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"


def told(result: JobResult) -> str:
    """How the job ended, for a reader elsewhere: without the paths of this machine."""
    code = "" if result.status == "Completed" else f", exit code {result.exit_code}"
    reason = (result.failure_reason or "").partition("\n")[0]
    cause = f" ({result.secondary_status})" if result.secondary_status != result.status else ""
    why = f"{result.status}{cause} after {result.duration:.1f} s{code}. Its last line: {last_line(result)}"
    return "\n".join(filter(None, (reason, why)))


def run(made: Plan) -> JobResult:
    """The result of a job, which must complete and leave a model."""
    result = execute(made)
    assert result.status == "Completed", told(result)
    assert result.model, "nothing in /opt/ml/model"
    return result


def completed_or_named(result: JobResult, *names: str) -> bool:
    """True for a completed job, and for one whose reason says in its first line what it cannot do."""
    reason = (result.failure_reason or "").partition("\n")[0]
    return result.status == "Completed" or any(name in reason for name in names)
