"""Jobs of a user's program, which comes in a channel."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.conformance.outcomes import told
from toolkit.jobs.job import REASON_LENGTH, Channel, JobResult, Plan, TrainingJob, execute, plan

PROGRAMS = Path(__file__).parent / "programs"
SOURCE = "/opt/ml/input/data/source"
# Of a job whose program comes otherwise: not the profile's.
NO_PROGRAM = {"source_dir": None, "entry_point": None}


class ScriptJobs:
    """Makes and runs jobs of an image.

    Args:
        make_job: as the fixture of that name.
        directory: an empty one, for the programs.
    """

    def __init__(self, make_job: Callable[..., TrainingJob], directory: Path) -> None:
        self._make_job, self._directory = make_job, directory
        self._count = 0

    def plan(
        self,
        program: str,
        files: Mapping[str, str] | None = None,
        hyperparameters: Mapping[str, str] | None = None,
        **changes: Any,
    ) -> Plan:
        """A job without data whose source directory holds `program` and `files`.

        Args:
            program: a file of `programs`, or one of `files`.
            files: further files of the source directory: path -> text.
            hyperparameters: besides those that name the program, encoded as the SDK does.
            changes: attributes of `TrainingJob`.
        """
        self._count += 1
        source = self._directory / f"source-{self._count}"
        source.mkdir()
        if (PROGRAMS / program).exists():
            shutil.copy(PROGRAMS / program, source)
        for name, text in (files or {}).items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_text(text)
        encoded = {"sagemaker_program": program, "sagemaker_submit_directory": SOURCE}
        usual = {
            "name": f"script-{self._count}-{secrets.token_hex(2)}",
            "channels": (Channel("source", source),),
            "hyperparameters": {
                **{name: json.dumps(value) for name, value in encoded.items()},
                **(hyperparameters or {}),
            },
            "isolated": True,
            **NO_PROGRAM,
        }
        return plan(self._make_job(**{**usual, **changes}))

    def run(self, program: str, *arguments: Any, **changes: Any) -> JobResult:
        """Plan the job and run it."""
        return execute(self.plan(program, *arguments, **changes))


def completed(result: JobResult) -> JobResult:
    """The same result, of a job that must have completed."""
    assert result.status == "Completed", told(result) + "\n" + result.log.read_text()
    return result


def facts(result: JobResult) -> dict[str, Any]:
    """What programs/facts.py wrote down."""
    written: dict[str, Any] = json.loads(
        (completed(result).host_dir / "output" / "data" / "facts.json").read_text()
    )
    return written


def reason(result: JobResult) -> str:
    """What the failure file says, as far as it becomes FailureReason (TRAIN-75)."""
    assert result.status == "Failed", told(result)
    return (result.host_dir / "output" / "failure").read_text()[:REASON_LENGTH]
