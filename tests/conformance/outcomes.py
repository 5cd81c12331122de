"""How a job may end."""

from __future__ import annotations

from toolkit.jobs.job import JobResult, Plan, execute

TOO_SHORT = "the job was over before it could be stopped: `long_hyperparameters` of a profile make it long"


def run(made: Plan) -> JobResult:
    """The result of a job, which must complete and leave a model."""
    result = execute(made)
    assert result.status == "Completed", result.summary()
    assert result.model, "nothing in /opt/ml/model"
    return result


def completed_or_named(result: JobResult, *names: str) -> bool:
    """True for a completed job, and for one whose reason says in its first line what it cannot do."""
    reason = (result.failure_reason or "").partition("\n")[0]
    return result.status == "Completed" or any(name in reason for name in names)
