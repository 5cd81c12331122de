"""Training jobs as files and variables, and hypothesis strategies that make them."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

BASE = Path("/opt/ml")
SOURCES = Path("/tmp/sources")
DUMP = Path("/tmp/dump.json")

# The directory, how many arguments, the arguments, the variables; each ends with a zero byte.
DUMP_PROGRAM = f"""
import os, sys
texts = [os.getcwd(), str(len(sys.argv) - 1), *sys.argv[1:]]
texts += [f"{{name}}={{value}}" for name, value in os.environ.items()]
texts.append(f"as a module={{__spec__ is not None}}")
with open({str(DUMP)!r}, "wb") as file:
    file.write(b"".join(os.fsencode(text) + bytes(1) for text in texts))
"""
DUMP_SCRIPT = f"""#!/bin/sh
{{ printf '%s\\0' "$PWD" "$#" "$@"; exec env -0; }} > {DUMP}
"""


@dataclass(frozen=True)
class Job:
    """What lies in /opt/ml and in the environment before `train` starts.

    Attributes:
        hyperparameters, resources, channels: the three files of input/config; None for a missing one.
        source: `code` (in /opt/ml/code), `directory`, `archive` or `plain archive`, named by
            sagemaker_submit_directory; `both`: an archive, and something in /opt/ml/code already.
        program: its name, for which a file is made.
        text: the program; None for the one that writes down what it is told.
        extra_files: further files of the source directory.
        one_cpu: whether it may run on one CPU only.
    """

    hyperparameters: dict[str, Any] | None = field(default_factory=dict)
    resources: dict[str, Any] | None = field(
        default_factory=lambda: {"current_host": "algo-1", "hosts": ["algo-1"]}
    )
    channels: dict[str, Any] | None = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    program: str = "train.py"
    source: str = "code"
    text: str | None = None
    extra_files: dict[str, str] = field(default_factory=dict)
    one_cpu: bool = False

    def lay_out(self) -> dict[str, str]:
        """Write it all; the environment of `train`."""
        for directory in (BASE, SOURCES):
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True, exist_ok=True)
        DUMP.unlink(missing_ok=True)
        for part in ("input/config", "input/data", "model", "output/data"):
            (BASE / part).mkdir(parents=True)
        hyperparameters = self.hyperparameters
        named = {**self._source(), "sagemaker_program": json.dumps(self.program)}
        if hyperparameters is not None:
            hyperparameters = {**named, **hyperparameters}
        files = {
            "hyperparameters": hyperparameters,
            "resourceconfig": self.resources,
            "inputdataconfig": self.channels,
        }
        for name, content in files.items():
            if content is not None:
                (BASE / "input" / "config" / f"{name}.json").write_text(json.dumps(content))
        return {"PATH": "/opt/venv/bin:/usr/bin:/bin", "SM_STUDIO_LOCAL_MODE": "true", **self.variables}

    def _source(self) -> dict[str, str]:
        directory = BASE / "code" if self.source == "code" else SOURCES / "source"
        for name, text in {self.program: self._program(), **self.extra_files}.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(text)
        if self.source == "code":
            return {}
        location = directory
        if self.source != "directory":
            location = SOURCES / "sourcedir.tar.gz"
            pack(directory, location, "w" if self.source == "plain archive" else "w:gz")
        if self.source == "both":
            shutil.copytree(directory, BASE / "code")
        return {"sagemaker_submit_directory": json.dumps(str(location))}

    def _program(self) -> str:
        if self.text is not None:
            return self.text
        if self.program.endswith(".sh"):
            return DUMP_SCRIPT
        return DUMP_PROGRAM if self.program.endswith(".py") else f"#!/opt/venv/bin/python{DUMP_PROGRAM}"


def pack(directory: Path, archive: Path, mode: str) -> None:
    with tarfile.open(archive, mode) as tar:
        for path in sorted(directory.iterdir()):
            tar.add(path, path.name)
        for name in ("../outside.txt", "/absolute.txt"):  # both are put inside (TT-21)
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())


NAMES = st.one_of(
    st.sampled_from(
        ["epochs", "batch-size", "a", "A", "my.param", "learning rate", "x:y", "model_dir", "key/1"]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="=\0", exclude_categories=["Cs"]), max_size=12),
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
# As the SDK writes a value, as a person does in the console, and as local mode never does.
VALUES = st.one_of(
    JSON_VALUES.map(json.dumps),
    PLAIN,
    st.sampled_from(
        ["1e5", "007", "True", "true", "null", "NaN", "-Infinity", '"a b"', "[1, 2]", " 5 ", "1_000"]
    ),
    JSON_VALUES,
).filter(lambda value: not holds_zero_byte(value))
RESERVED = st.fixed_dictionaries(
    {},
    optional={
        "sagemaker_region": st.sampled_from(['"eu-west-1"', "us-east-1"]),
        "sagemaker_job_name": st.sampled_from(['"a-job"', "a-job"]),
        "sagemaker_container_log_level": st.sampled_from(["10", "20", "40"]),
        "sagemaker_enable_cloudwatch_metrics": st.sampled_from(["true", "false"]),
        "_tuning_objective_metric": PLAIN,
        "default_user_module_name": PLAIN,
        "sagemaker_estimator_class_name": st.just('"Estimator"'),
        "sagemaker_distribution_instance_groups": st.sampled_from(['["workers"]', '["a", "b"]', "[]"]),
        "sagemaker_mpi_enabled": st.just("false"),
        "sagemaker_torch_distributed_enabled": st.just("false"),
        "sagemaker_anything": VALUES,
    },
)
CHANNEL = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "TrainingInputMode": st.sampled_from(["File", "Pipe", "FastFile"]),
        "S3DistributionType": st.sampled_from(["FullyReplicated", "ShardedByS3Key"]),
        "RecordWrapperType": st.sampled_from(["None", "RecordIO"]),
        "ContentType": st.sampled_from(["text/csv", "application/x-npy"]) | st.none(),
    },
)
CHANNEL_NAMES = st.sampled_from(["train", "test.data", "a-b_c", "x" * 64]) | st.from_regex(
    r"[A-Za-z0-9.\-_]{1,64}", fullmatch=True
).filter(lambda name: name not in {".", ".."})  # a channel is a directory
PROGRAMS = st.sampled_from(
    ["train.py", "bin/train.py", "_a+b.c-d.py", "train.sh", "bin/train.sh", "run-me", ".hidden.py"]
)
VARIABLES = st.fixed_dictionaries(
    {},
    optional={
        "TRAINING_JOB_NAME": st.just("a-job-of-the-platform"),
        "AWS_DEFAULT_REGION": st.just("ap-south-1"),
        "SM_HP_MP_PARAMETERS": st.sampled_from(["", "{}", '{"partitions": 2}']),
        "SAGEMAKER_SUBMIT_DIRECTORY": st.just("/nowhere"),
        "SAGEMAKER_CONTAINER_LOG_LEVEL": st.just("50"),
        "PYTHONUNBUFFERED": st.just("1"),
        "SOMETHING": PLAIN,
    },
)


@st.composite
def resources(draw: st.DrawFn) -> dict[str, Any]:
    """resourceconfig.json as the platform writes it, of an ordinary job or of groups, and of local mode."""
    count = draw(st.integers(1, 12))
    hosts = sorted(f"algo-{number}" for number in range(1, count + 1))
    content: dict[str, Any] = {"current_host": draw(st.sampled_from(hosts)), "hosts": hosts}
    if draw(st.booleans()):
        content["current_instance_type"] = draw(st.sampled_from(["ml.m5.large", "local", "ml.trn2.48xlarge"]))
    if draw(st.booleans()):
        content["network_interface_name"] = "eth0"
    if draw(st.booleans()):
        content["topology"] = draw(st.none() | st.just([]) | st.just({"network": [{"hostName": "algo-1"}]}))
    if draw(st.booleans()):
        cut = draw(st.integers(0, count))
        parts = (
            {"workers": hosts[:cut], "data": hosts[cut:]}
            if 0 < cut < count
            else {"homogeneousCluster": hosts}
        )
        content["instance_groups"] = [
            {"instance_group_name": name, "instance_type": "ml.m5.large", "hosts": members}
            for name, members in parts.items()
        ]
        content["current_group_name"] = next(
            name for name, members in parts.items() if content["current_host"] in members
        )
    return content


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    """Any job that both can run."""
    variables = dict(draw(VARIABLES))
    hyperparameters = {**draw(st.dictionaries(NAMES, VALUES, max_size=6)), **draw(RESERVED)}
    program = draw(PROGRAMS)
    if draw(st.booleans()):
        variables["SAGEMAKER_PROGRAM"] = program
        hyperparameters["sagemaker_program"] = '"of-the-hyperparameter.py"'
    return Job(
        hyperparameters=hyperparameters,
        resources=draw(resources()),
        channels=draw(st.dictionaries(CHANNEL_NAMES, CHANNEL, max_size=5)),
        variables=variables,
        program=program,
        source=draw(st.sampled_from(["code", "code", "code", "directory", "archive", "both"])),
    )


def holds_zero_byte(value: Any) -> bool:
    """Whether a text in it, decoded, cannot be an argument: one of the wanted differences is about that."""
    return "\\u0000" in json.dumps(value).replace("\\\\", "\\") or "\\ud" in json.dumps(value).lower()
