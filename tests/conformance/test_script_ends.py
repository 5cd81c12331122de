"""A user's own program that fails or is stopped."""

from __future__ import annotations

import time

import pytest

from tests.conformance.script_jobs import ScriptJobs, reason
from toolkit.jobs.job import execute

AWS_EXIT_CODE = 1  # of AWS's toolkit, whatever the program's own is (TT-62)


@pytest.mark.contract("TRAIN-77", "TT-66")
def test_the_last_exception_is_the_first_line_of_the_failure_file(scripts: ScriptJobs) -> None:
    text = """
import sys
print("warning: slow", file=sys.stderr)
try:
    open("/no/such/file")
except OSError as error:
    raise ValueError("column 3 has no name") from error
"""
    result = scripts.run("train.py", files={"train.py": text})
    assert reason(result).partition("\n")[0] == "ValueError: column 3 has no name"
    assert result.exit_code == 1


@pytest.mark.contract("TRAIN-76", "TT-61", "TT-62")
def test_the_exit_code_of_the_program_fails_the_job_and_is_told(scripts: ScriptJobs) -> None:
    result = scripts.run("train.sh", files={"train.sh": "exit 7\n"})
    assert result.exit_code in (AWS_EXIT_CODE, 7)
    assert "train.sh" in reason(result)
    assert "7" in reason(result)


@pytest.mark.contract("TT-61", "TT-66")
def test_a_failure_file_of_the_program_stays(scripts: ScriptJobs) -> None:
    text = "open('/opt/ml/output/failure', 'w').write('my own words'); raise ValueError('hidden')"
    assert reason(scripts.run("train.py", files={"train.py": text})) == "my own words"


@pytest.mark.contract("TT-63")
def test_a_killed_program_is_said_to_be_out_of_memory(scripts: ScriptJobs) -> None:
    text = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    result = scripts.run("train.py", files={"train.py": text})
    assert "memory" in reason(result).lower()
    assert result.exit_code in (AWS_EXIT_CODE, 137)


@pytest.mark.contract("TT-64", "TRAIN-04", "TRAIN-94", "TRAIN-95")
def test_sigterm_reaches_every_process_of_the_program(scripts: ScriptJobs) -> None:
    interrupted = False

    def interrupt_once(line: str) -> None:
        nonlocal interrupted
        if "waiting" in line and not interrupted:
            interrupted = True
            time.sleep(0.2)
            raise KeyboardInterrupt

    result = execute(scripts.plan("stops.py"), on_line=interrupt_once)
    assert result.status == "Stopped"
    assert result.exit_code == 5
    assert (result.host_dir / "model" / "state").read_text() == "child was told\n"
