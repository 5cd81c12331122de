"""SDK 3's ModelTrainer with source code: its own drivers, taken from the SDK, on the image under test.

Nothing of `train` runs here: the SDK's bash script and Python drivers come by channels and need only what
every Linux image has, and python and pip (V3-01 to V3-09).
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.outcomes import told
from tests.conformance.script_jobs import NO_PROGRAM
from tests.sdks import Sdk, find, make_wheel
from toolkit.jobs.job import Channel, JobResult, TrainingJob, execute, plan

Run = Callable[..., JobResult]
MakeJob = Callable[..., TrainingJob]
SCRIPTS = Path(__file__).parent / "scripts"
SCRIPT = """
import json, os, sys
try:
    import a_requirement
except ImportError:
    a_requirement = None
if "--exit" in sys.argv:
    sys.exit(7)
with open(os.path.join(os.environ["SM_MODEL_DIR"], "seen.json"), "w") as file:
    json.dump(
        {
            "arguments": sys.argv[1:],
            "variables": {name: value for name, value in os.environ.items() if name.startswith("SM_")},
            "requirement": a_requirement is not None,
            "directory": os.getcwd(),
        },
        file,
    )
"""


@pytest.fixture
def sdk(tmp_path: Path) -> Sdk:
    home = tmp_path / "home"
    home.mkdir()
    return find("v3", home)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A directory with `train.py`, `run.sh` and a requirement that needs no index."""
    directory = tmp_path / "source"
    directory.mkdir()
    (directory / "train.py").write_text(SCRIPT)
    (directory / "run.sh").write_text('#!/bin/sh\nexec python3 train.py "$@"\n')
    (directory / "requirements.txt").write_text(f"./{make_wheel(directory)}\n")
    return directory


@pytest.fixture
def run(sdk: Sdk, make_job: MakeJob, tmp_path: Path, request: pytest.FixtureRequest) -> Run:
    """Run what SDK 3 would send for the source code; no network."""

    def run_source(hyperparameters: Mapping[str, Any], **source_code: Any) -> JobResult:
        drivers = tmp_path / "drivers"
        asked = {"source_code": source_code, "hyperparameters": hyperparameters, "drivers": str(drivers)}
        outcome = sdk.run(SCRIPTS / "sdk_v3_request.py", asked)
        assert outcome.exit_code == 0, outcome.log
        sent = outcome.result
        sources = {
            channel["ChannelName"]: Path(channel["DataSource"]["FileSystemDataSource"]["DirectoryPath"])
            for channel in sent["InputDataConfig"]
        } | {"sm_drivers": drivers}
        job = make_job(
            name="v3-" + request.node.name.replace("_", "-")[-50:],
            # SageMaker downloads a channel: the container may change its copy (V3-07).
            channels=tuple(Channel(name, source, access="copy") for name, source in sources.items()),
            hyperparameters=sent["HyperParameters"],
            entrypoint=tuple(sent["AlgorithmSpecification"]["ContainerEntrypoint"]),
            arguments=tuple(sent["AlgorithmSpecification"]["ContainerArguments"]),
            isolated=True,
            **NO_PROGRAM,
        )
        return execute(plan(job))

    return run_source


def seen(result: JobResult) -> dict[str, Any]:
    assert result.status == "Completed", told(result)
    found: dict[str, Any] = json.loads((result.host_dir / "model" / "seen.json").read_text())
    return found


@pytest.mark.contract(
    "TRAIN-10", "V3-01", "V3-03", "V3-04", "V3-06", "V3-07", "V3-08", "V3-09", "V3-10", "V3-11", "V3-15"
)
def test_a_python_script_trains_with_its_requirements(run: Run, source: Path) -> None:
    hyperparameters = {"epochs": 3, "flag": True, "name": "a b", "options": {"a": 1}}
    found = seen(
        run(
            hyperparameters,
            source_dir=str(source),
            entry_script="train.py",
            requirements="requirements.txt",
        )
    )
    assert found["arguments"] == [
        *("--epochs", "3", "--flag", "true", "--name", "a b", "--options", '{"a": 1}')
    ]
    assert found["requirement"]
    assert found["directory"] == "/opt/ml/input/data/code"
    assert json.loads(found["variables"]["SM_HPS"]) == hyperparameters


@pytest.mark.contract("V3-22", "V3-23", "V3-24", "V3-25", "V3-26", "V3-27")
def test_the_files_of_the_platform_are_enough_for_the_drivers_variables(run: Run, source: Path) -> None:
    hyperparameters = {"batch-size": 64, "layers": [1, 2]}
    variables = seen(run(hyperparameters, source_dir=str(source), entry_script="train.py"))["variables"]
    assert variables["SM_CURRENT_HOST"] == "algo-1"
    assert variables["SM_CURRENT_HOST_RANK"] == "0"
    assert json.loads(variables["SM_CHANNELS"]) == ["code", "sm_drivers"]
    assert json.loads(variables["SM_RESOURCE_CONFIG"])["network_interface_name"]
    assert (variables["SM_HP_BATCH_SIZE"], variables["SM_HP_LAYERS"]) == ("64", "[1, 2]")
    # What only the AWS training toolkit and our script mode set.
    assert not {"SM_USER_ARGS", "SM_MODULE_NAME", "SM_INSTANCE_GROUPS"} & set(variables)


@pytest.mark.contract("V3-05", "V3-17")
def test_an_archive_is_unpacked_and_a_command_run(run: Run, source: Path, tmp_path: Path) -> None:
    archive = tmp_path / "source.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for path in source.iterdir():
            tar.add(path, path.name)
    found = seen(run({}, source_dir=str(archive), command="sh run.sh --first", args=["a b"]))
    assert found["arguments"] == ["--first", "a b"]


@pytest.mark.contract("V3-18")
def test_a_shell_script_is_made_executable_and_run(run: Run, source: Path) -> None:
    found = seen(run({"epochs": 3}, source_dir=str(source), entry_script="run.sh"))
    assert found["arguments"] == ["--epochs", "3"]


@pytest.mark.contract("V3-32", "TRAIN-76")
def test_the_exit_code_of_the_script_is_the_jobs(run: Run, source: Path) -> None:
    result = run({"exit": True}, source_dir=str(source), entry_script="train.py")
    assert (result.status, result.exit_code) == ("Failed", 7)
    assert result.failure_reason


@pytest.mark.contract("V3-39")
def test_the_programs_of_a_remote_function_are_there_by_their_names(make_job: MakeJob) -> None:
    words = "for name in python pip cat cp; do command -v $name || exit 1; done"
    job = make_job(name="remote-function", channels=(), entrypoint=("/bin/bash",), arguments=("-c", words))
    assert execute(plan(job)).exit_code == 0
