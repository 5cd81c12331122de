"""A user's own program as the job: what it is told, and from where it comes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.script_jobs import PROGRAMS, SOURCE, ScriptJobs, completed, facts, reason
from toolkit.jobs.job import Channel, JobResult, execute, plan

# The vector of TT-33, then what the SDK and a tuning job add.
USERS = {
    "epochs": "10",
    "lr": "0.1",
    "batch-size": "64",
    "flag": "true",
    "none": "null",
    "name": "a b",
    "l": "[1,2]",
    "d": '{"a":1,"b":"x"}',
}
ARGUMENTS = ["--batch-size", "64", "-d", "a=1,b=x", "--epochs", "10", "--flag", "True", "-l", "[1, 2]"]
ARGUMENTS += ["--lr", "0.1", "--name", "a b", "--none", ""]
OTHERS = {
    "sagemaker_enable_cloudwatch_metrics": "false",
    "sagemaker_region": '"eu-west-1"',
    "sagemaker_container_log_level": "20",
    "sagemaker_job_name": '"job-of-the-sdk"',
    "default_user_module_name": '"x"',
    "_tuning_objective_metric": "validation-loss",
    "sagemaker_s3_output": "null",
    "sagemaker_estimator_class_name": '"Estimator"',
}


@pytest.fixture(scope="module")
def usual(scripts: ScriptJobs, data: Path) -> JobResult:
    """One job, with a channel of an odd name, whose program writes down what it is told."""
    planned = scripts.plan("facts.py", hyperparameters={**USERS, **OTHERS}, environment={"GREETING": "hello"})
    odd = Channel("my.data-1", data / "train", "text/csv")
    job = replace(planned.job, channels=(*planned.job.channels, odd), name="script-usual")
    return completed(execute(plan(job)))


@pytest.fixture(scope="module")
def told(usual: JobResult) -> dict[str, Any]:
    return facts(usual)


@pytest.fixture(scope="module")
def variables(told: dict[str, Any]) -> dict[str, str]:
    environment: dict[str, str] = told["environment"]
    return environment


@pytest.mark.contract("TT-30", "TT-31", "TT-32", "TT-33", "TT-34", "TT-35", "TRAIN-113")
def test_hyperparameters_are_arguments_and_reserved_names_are_not(told: dict[str, Any]) -> None:
    assert told["arguments"] == ARGUMENTS


@pytest.mark.contract("TT-10", "TT-17")
def test_the_program_is_main_in_the_code_directory_by_the_containers_python(told: dict[str, Any]) -> None:
    assert told["name"] == "__main__"
    assert told["directory"] == "/opt/ml/code"
    assert "facts.py" in told["files"]


@pytest.mark.contract("TT-40", "TT-41", "TT-45")
def test_each_hyperparameter_is_a_variable(variables: dict[str, str]) -> None:
    assert variables["SM_HP_BATCH-SIZE"] == "64"
    assert variables["SM_HP_FLAG"] == "true"
    assert variables["SM_HP_NONE"] == ""
    assert variables["SM_HP_D"] == '{"a":1,"b":"x"}'
    assert json.loads(variables["SM_HPS"])["lr"] == 0.1
    assert json.loads(variables["SM_USER_ARGS"]) == ARGUMENTS


@pytest.mark.contract("TT-42", "TT-43")
def test_hosts_and_groups_are_variables(variables: dict[str, str]) -> None:
    assert variables["SM_HOSTS"] == '["algo-1"]'
    assert variables["SM_CURRENT_HOST"] == "algo-1"
    assert variables["SM_CURRENT_INSTANCE_GROUP"] == "homogeneousCluster"
    assert json.loads(variables["SM_CURRENT_INSTANCE_GROUP_HOSTS"]) == ["algo-1"]
    assert json.loads(variables["SM_INSTANCE_GROUPS"]) == ["homogeneousCluster"]
    assert variables["SM_IS_HETERO"] == "false"


@pytest.mark.contract("TT-41", "TT-44")
def test_channels_are_variables_also_with_an_odd_name(variables: dict[str, str]) -> None:
    assert variables["SM_CHANNELS"] == '["my.data-1","source"]'
    assert variables["SM_CHANNEL_MY.DATA-1"] == "/opt/ml/input/data/my.data-1"


@pytest.mark.contract("TT-46", "TT-47", "TT-48", "TT-49")
def test_directories_hardware_and_module_are_variables(variables: dict[str, str]) -> None:
    assert variables["SM_MODEL_DIR"] == "/opt/ml/model"
    assert variables["SM_OUTPUT_DATA_DIR"] == "/opt/ml/output/data"
    assert variables["SM_INPUT_CONFIG_DIR"] == "/opt/ml/input/config"
    assert variables["SM_OUTPUT_INTERMEDIATE_DIR"] == "/opt/ml/output/intermediate"
    assert int(variables["SM_NUM_CPUS"]) >= 1
    assert variables["SM_NUM_GPUS"].isdigit()
    assert variables["SM_NUM_NEURONS"].isdigit()
    assert variables["SM_MODULE_NAME"] == "facts"
    assert variables["SM_MODULE_DIR"] == SOURCE
    assert variables["SM_USER_ENTRY_POINT"] == "facts.py"
    assert variables["SM_LOG_LEVEL"] == "20"


@pytest.mark.contract("TT-35", "TT-50", "TT-51", "TT-52", "TT-53")
def test_the_job_as_a_whole_is_a_variable(variables: dict[str, str]) -> None:
    everything = json.loads(variables["SM_TRAINING_ENV"])
    assert everything["is_master"] is True
    assert everything["master_hostname"] == "algo-1"
    assert everything["channel_input_dirs"]["my.data-1"] == "/opt/ml/input/data/my.data-1"
    assert "estimator_class_name" in variables["SM_FRAMEWORK_PARAMS"]
    assert json.loads(variables["SM_RESOURCE_CONFIG"])["current_host"] == "algo-1"
    assert "my.data-1" in json.loads(variables["SM_INPUT_DATA_CONFIG"])
    assert "SM_TOPOLOGY" not in variables
    assert "/opt/ml/code" in variables["PYTHONPATH"].split(":")
    assert variables["CURRENT_HOST"] == "algo-1"
    assert variables["SAGEMAKER_JOB_NAME"] == "job-of-the-sdk"
    assert variables["SAGEMAKER_REGION"] == "eu-west-1"
    assert variables["GREETING"] == "hello"


@pytest.mark.contract("TT-60", "TRAIN-75")
def test_success_is_an_empty_file(usual: JobResult) -> None:
    assert (usual.host_dir / "output" / "success").read_bytes() == b""
    assert not (usual.host_dir / "output" / "failure").exists()


@pytest.mark.contract("TRAIN-79", "TRAIN-110")
def test_a_metric_of_the_program_is_a_line_of_the_log(usual: JobResult) -> None:
    assert "validation-loss=0.5;" in usual.log.read_text()


@pytest.mark.contract("TRAIN-24", "TT-02", "TT-09", "TT-12", "TT-13", "TT-23")
def test_a_shell_script_named_by_the_variable_gets_its_arguments_unchanged(scripts: ScriptJobs) -> None:
    text = 'it\'s "here" $HOME `date`'
    result = scripts.run(
        "facts.sh",
        hyperparameters={"text": text, "sagemaker_program": '"other.py"'},
        environment={"SAGEMAKER_PROGRAM": "facts.sh"},
    )
    lines = (completed(result).host_dir / "output" / "data" / "lines.txt").read_text().splitlines()
    assert lines == ["/opt/ml/code", "--text", text]


@pytest.mark.contract("TRAIN-27")
def test_a_password_among_the_hyperparameters_reaches_the_program_and_no_log(scripts: ScriptJobs) -> None:
    result = scripts.run("facts.sh", hyperparameters={"my_password": "not-to-be-seen"})
    lines = (completed(result).host_dir / "output" / "data" / "lines.txt").read_text().splitlines()
    assert lines == ["/opt/ml/code", "--my_password", "not-to-be-seen"]
    assert "not-to-be-seen" not in result.log.read_text()


def packaged(prefix: str = "") -> dict[str, str]:
    files = ("backend.py", "pyproject.toml")
    return {prefix + name: (PROGRAMS / "package" / name).read_text() for name in files}


@pytest.mark.contract("TT-14", "TT-17", "TRAIN-24")
def test_requirements_are_installed_for_the_program(scripts: ScriptJobs) -> None:
    program = "import conformance_package; assert conformance_package.INSTALLED"
    completed(
        scripts.run(
            "train.py",
            files={"train.py": program, "requirements.txt": "./mine\n", **packaged("mine/")},
        )
    )


@pytest.mark.contract("TT-09", "TT-11")
def test_a_package_is_installed_and_its_module_is_run(scripts: ScriptJobs) -> None:
    files = {
        "setup.py": "",
        **packaged(),
        "work/__init__.py": "",
        "work/train.py": "import conformance_package",
    }
    completed(scripts.run("work.train", files=files))


@pytest.mark.contract("TT-16", "TRAIN-24")
def test_requirements_that_need_a_network_are_refused_by_name_under_isolation(scripts: ScriptJobs) -> None:
    result = scripts.run("facts.py", files={"requirements.txt": "surely-not-installed-here==1\n"})
    line = reason(result)
    assert "InstallRequirementsError" in line
    assert "surely-not-installed-here" in line
    assert "network" in line
    assert result.exit_code == 1


@pytest.mark.contract("TT-18")
def test_a_training_module_is_called_instead_of_a_program(scripts: ScriptJobs) -> None:
    result = scripts.run("facts.py", environment={"SAGEMAKER_TRAINING_MODULE": "this:that"}, isolated=True)
    # `this` of the standard library has no `that`: so it was imported, and the program was not run.
    assert reason(result)
    assert "The Zen of Python" in result.log.read_text()


@pytest.mark.contract("TT-20")
@pytest.mark.parametrize("name", ["/opt/ml/code/facts.py", "../facts.py", "-c", "a b.py", "missing.py"])
def test_a_program_outside_of_the_source_is_refused_by_name(name: str, scripts: ScriptJobs) -> None:
    result = scripts.run("facts.py", environment={"SAGEMAKER_PROGRAM": name})
    assert name in reason(result)
    assert result.exit_code == 1
