"""The image in a processing job: a command of the caller's, no `train` and no `serve`, other paths."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.outcomes import told
from tests.conformance.script_jobs import NO_PROGRAM
from tests.sdks import Sdk, find
from toolkit.jobs.job import JobResult, TrainingJob, execute, plan

MakeJob = Callable[..., TrainingJob]
Process = Callable[..., JobResult]
SCRIPTS = Path(__file__).parent / "scripts"
SCRIPT = """
import json, pathlib, sys
root = pathlib.Path("/opt/ml")
job = json.loads((root / "config" / "processingjobconfig.json").read_text())["ProcessingJobName"]
rows = (root / "processing" / "input" / "data" / "rows.csv").read_text().splitlines()
(root / "processing" / "output" / "seen.json").write_text(json.dumps([job, len(rows), sys.argv[1:]]))
if len(sys.argv) > 2:
    (root / "output" / "message").write_text("Row 3 has no label.")
    sys.exit(4)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What a processing job has under /opt/ml."""
    for name in ("config", "output", "processing/input/data", "processing/input/code", "processing/output"):
        (tmp_path / "ml" / name).mkdir(parents=True)
    root = tmp_path / "ml"
    documents = {
        "processingjobconfig": {"ProcessingJobName": "a-job"},
        "resourceconfig": {"current_host": "algo-1", "hosts": ["algo-1"]},
    }
    for name, document in documents.items():
        (root / "config" / f"{name}.json").write_text(json.dumps(document))
    (root / "processing" / "input" / "data" / "rows.csv").write_text("1\n2\n3\n")
    (root / "processing" / "input" / "code" / "process.py").write_text(SCRIPT)
    return root


@pytest.fixture
def process(make_job: MakeJob, tree: Path, request: pytest.FixtureRequest) -> Process:
    """Run a command on the tree; no network."""

    def run(entrypoint: tuple[str, ...], *arguments: str) -> JobResult:
        name = request.node.name.replace("_", "-")[:50].strip("-")
        made = plan(
            make_job(
                name=name,
                channels=(),
                entrypoint=entrypoint,
                arguments=arguments or None,
                isolated=True,
                **NO_PROGRAM,
            )
        )
        whole = replace(made.run.binds[0], source=tree, target="/opt/ml")
        return execute(replace(made, run=replace(made.run, binds=(whole,))))

    return run


@pytest.fixture
def sdk(tmp_path: Path) -> Sdk:
    home = tmp_path / "home"
    home.mkdir()
    return find("v3", home)


def seen(tree: Path) -> list[object]:
    found: list[object] = json.loads((tree / "processing" / "output" / "seen.json").read_text())
    return found


@pytest.mark.contract("TRAIN-130", "TRAIN-131", "TRAIN-06", "TRAIN-08")
def test_a_processing_job_runs_the_callers_command_and_nothing_else(process: Process, tree: Path) -> None:
    result = process(("python3", "/opt/ml/processing/input/code/process.py"), "an argument")
    assert result.exit_code == 0, told(result)
    assert seen(tree) == ["a-job", 3, ["an argument"]]


@pytest.mark.contract("TRAIN-131")
def test_the_exit_message_of_a_processing_job_is_its_own(process: Process, tree: Path) -> None:
    result = process(("python3", "/opt/ml/processing/input/code/process.py"), "one", "two")
    assert result.exit_code == 4
    assert (tree / "output" / "message").read_text() == "Row 3 has no label."


@pytest.mark.contract("TRAIN-132", "V3-03", "V3-05")
def test_the_script_of_sdk_3s_framework_processor_runs(process: Process, tree: Path, sdk: Sdk) -> None:
    code = tree / "processing" / "input" / "code"
    with tarfile.open(code / "sourcedir.tar.gz", "w:gz") as tar:
        tar.add(code / "process.py", "process.py")
    (code / "process.py").unlink()
    asked = {"script": "process.py", "code": str(code)}
    outcome = sdk.run(SCRIPTS / "framework_script.py", asked)
    assert outcome.exit_code == 0, outcome.log
    result = process(("/bin/bash", "/opt/ml/processing/input/code/runproc.sh"), "an argument")
    assert result.exit_code == 0, told(result)
    assert seen(tree) == ["a-job", 3, ["an argument"]]
