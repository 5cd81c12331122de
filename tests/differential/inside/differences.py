"""Where our `train` is meant to differ from `sagemaker-training` 5.1.4, and why.

Each row names the facts of an outcome that may differ, the jobs for which it may be so, and one such job: a
row that is not needed any more fails its own test.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from jobs import Job

STARTED = "started"  # the program ran with one and not with the other: every fact may differ


@dataclass(frozen=True)
class Difference:
    """One wanted difference.

    Attributes:
        reason: why ours is better.
        facts: names of what may differ, or STARTED alone.
        applies: whether it concerns a job.
        example: a job that shows it, and that no other row (but those of every job) concerns.
    """

    reason: str
    facts: frozenset[str]
    applies: Callable[[Job], bool]
    example: Job


def hyperparameter(job: Job, name: str) -> object:
    """The decoded value; None for one that is not there."""
    value = (job.hyperparameters or {}).get(name)
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _hosts(job: Job) -> list[str]:
    return list((job.resources or {}).get("hosts") or [])


def _odd_names(job: Job) -> bool:
    return any("=" in name for name in job.hyperparameters or {})


def _too_long(job: Job) -> bool:
    return len(json.dumps(job.hyperparameters)) > 60_000


SILENT = (
    "sagemaker_torch_distributed_enabled",
    "sagemaker_parameter_server_enabled",
    "sagemaker_distributed_dataparallel_enabled",
    "sagemaker_pytorch_xla_multi_worker_enabled",
    "sagemaker_multi_worker_mirrored_strategy_enabled",
    "sagemaker_pytorch_ddp_enabled",
)
BUILD = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
BACKEND = """
import zipfile
def build_wheel(directory, settings=None, metadata=None):
    with zipfile.ZipFile(f"{directory}/mine-1-py3-none-any.whl", "w") as wheel:
        for name, text in {
            "METADATA": "Metadata-Version: 2.1\\nName: mine\\nVersion: 1\\n",
            "WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
            "RECORD": "",
        }.items():
            wheel.writestr(f"mine-1.dist-info/{name}", text)
    return "mine-1-py3-none-any.whl"
"""
ONE_HOST = {"current_host": "algo-1", "hosts": ["algo-1"]}

DIFFERENCES = {
    "unbuffered": Difference(
        "A metric in a buffer comes too late for a tuning job (TRAIN-79).",
        frozenset({"PYTHONUNBUFFERED"}),
        lambda job: "PYTHONUNBUFFERED" not in job.variables,
        Job(),
    ),
    "interface": Difference(
        "SDK v3 names ethwe in local mode, which does not exist there (LOCAL-21, LOCAL-22).",
        frozenset({"SM_NETWORK_INTERFACE_NAME", "SM_TRAINING_ENV"}),
        lambda job: (job.resources or {}).get("network_interface_name", "eth0") != "eth0",
        Job(resources={**ONE_HOST, "network_interface_name": "ethwe"}),
    ),
    "master": Difference(
        "The master is the first by value, so that all hosts agree whatever order they are told (TRAIN-43).",
        frozenset({"SM_TRAINING_ENV"}),
        lambda job: _hosts(job) != sorted(_hosts(job)),
        Job(resources={"current_host": "algo-1", "hosts": ["algo-2", "algo-1"]}),
    ),
    "region": Difference(
        "The platform sets AWS_REGION too (TRAIN-23); the toolkit sees AWS_DEFAULT_REGION alone.",
        frozenset({"SAGEMAKER_REGION"}),
        lambda job: "AWS_REGION" in job.variables and "AWS_DEFAULT_REGION" not in job.variables,
        Job(variables={"AWS_REGION": "eu-north-1"}),
    ),
    "processors": Difference(
        "What the container may use is told, not what the machine has: a pool of that size does not thrash.",
        frozenset({"SM_NUM_CPUS", "SM_TRAINING_ENV"}),
        lambda job: job.one_cpu,
        Job(one_cpu=True),
    ),
    "pyproject": Difference(
        "A source directory whose pyproject.toml says how it is built is a package, as with setup.py.",
        frozenset({"as a module"}),
        lambda job: "pyproject.toml" in job.extra_files,
        Job(extra_files={"pyproject.toml": BUILD, "backend.py": BACKEND}),
    ),
    "exit code": Difference(
        "The program's own exit code is kept; the toolkit makes 1 of each (TT-62).",
        frozenset({"exit code"}),
        lambda job: "exit(7)" in (job.text or ""),
        Job(text="import sys; sys.exit(7)"),
    ),
    "no config files": Difference(
        "Only what a job needs must be there (TRAIN-36, TRAIN-40); the toolkit ends with a traceback.",
        frozenset({STARTED}),
        lambda job: job.channels is None or job.resources is None,
        Job(channels=None, resources=None),
    ),
    "no program": Difference(
        "hyperparameters.json may be missing where a variable names the program (TRAIN-31).",
        frozenset({STARTED}),
        lambda job: job.hyperparameters is None,
        Job(hyperparameters=None, variables={"SAGEMAKER_PROGRAM": "train.py"}),
    ),
    "no hosts": Difference(
        "A container run by hand has one host and no list of them; the toolkit ends with a traceback.",
        frozenset({STARTED}),
        lambda job: job.resources is not None and "hosts" not in job.resources,
        Job(resources={"current_host": "algo-1"}),
    ),
    "impossible variable": Difference(
        "A name with = has no variable of its own and is in SM_HPS; the toolkit ends with a traceback.",
        frozenset({STARTED}),
        _odd_names,
        Job(hyperparameters={"a=b": "1"}),
    ),
    "too long variable": Difference(
        "Linux takes no variable of 128 KiB: it is left out. The toolkit cannot start the program.",
        frozenset({STARTED}),
        _too_long,
        Job(hyperparameters={f"name-{number}": "x" * 2500 for number in range(60)}),
    ),
    "deep value": Difference(
        "A text that is no JSON stays a text, also where it is a thousand brackets.",
        frozenset({STARTED}),
        lambda job: any("[" * 1000 in str(value) for value in (job.hyperparameters or {}).values()),
        Job(hyperparameters={"brackets": "[" * 2400}),
    ),
    "error number": Difference(
        "What the user named and does not exist is a mistake like any other: 1, not the error number 2.",
        frozenset({"exit code"}),
        lambda job: "missing" in str((job.variables, job.hyperparameters)),
        Job(variables={"SAGEMAKER_PROGRAM": "missing.sh"}),
    ),
    "empty program variable": Difference(
        "An empty variable is none, for the module's name as well as for the program (TT-02).",
        frozenset({"SM_MODULE_NAME", "SM_TRAINING_ENV"}),
        lambda job: job.variables.get("SAGEMAKER_PROGRAM") == "",
        Job(variables={"SAGEMAKER_PROGRAM": ""}),
    ),
    "log level by name": Difference(
        "INFO is 20 (TT-04); the toolkit ends with a traceback.",
        frozenset({STARTED}),
        lambda job: (
            str(hyperparameter(job, "sagemaker_container_log_level")).isalpha()
            and hyperparameter(job, "sagemaker_container_log_level") is not None
        ),
        Job(hyperparameters={"sagemaker_container_log_level": '"INFO"'}),
    ),
    "log level variable": Difference(
        "SAGEMAKER_CONTAINER_LOG_LEVEL has no effect, a name neither (TT-04, TT-05).",
        frozenset({STARTED}),
        lambda job: job.variables.get("SAGEMAKER_CONTAINER_LOG_LEVEL", "0").isalpha(),
        Job(variables={"SAGEMAKER_CONTAINER_LOG_LEVEL": "INFO"}),
    ),
    "job name of digits": Difference(
        "A job may be called 2024; the toolkit decodes it to a number and ends with a traceback.",
        frozenset({STARTED}),
        lambda job: isinstance(hyperparameter(job, "sagemaker_job_name"), int),
        Job(hyperparameters={"sagemaker_job_name": "2024"}),
    ),
    "plain tar": Difference(
        "A tar without compression is a source as well (TT-03).",
        frozenset({STARTED}),
        lambda job: job.source == "plain archive",
        Job(source="plain archive"),
    ),
    "silent distribution": Difference(
        "A distribution that the image lacks is an error, not one lone process on each host (TT-78).",
        frozenset({STARTED}),
        lambda job: any(hyperparameter(job, flag) for flag in SILENT),
        Job(hyperparameters={"sagemaker_distributed_dataparallel_enabled": "true"}),
    ),
}
