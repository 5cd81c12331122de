"""The parts of script mode that need no process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opt_ml import pip
from opt_ml.environment import read_environment
from opt_ml.errors import UserError
from opt_ml.pip import InstallError, has_route
from opt_ml.training.script import launchers, program, requirements, variables
from opt_ml.training.script.arguments import masked, to_arguments
from opt_ml.training.script.cause import describe
from opt_ml.training.script.process import Ended

TRACEBACK = """Traceback (most recent call last):
  File "train.py", line 1, in <module>
    f()
{}
"""


@pytest.mark.contract("TRAIN-77", "TT-63", "TT-66")
@pytest.mark.parametrize(
    ("stderr", "code", "cause"),
    [
        (TRACEBACK.format("ValueError: bad\nsecond line"), 1, "ValueError: bad"),
        (
            TRACEBACK.format("KeyError: 'x'") + "\nDuring handling:\n\n" + TRACEBACK.format("mine.Odd: y"),
            1,
            "mine.Odd: y",
        ),
        (TRACEBACK.format("AssertionError"), 1, "AssertionError"),
        (
            "  File \"train.py\", line 3\n    x = (\n        ^\nSyntaxError: '(' was never closed\n",
            1,
            "SyntaxError: '(' was never closed",
        ),
        (
            "[rank1]: " + TRACEBACK.format("RuntimeError: NCCL").replace("\n", "\n[rank1]: "),
            1,
            "RuntimeError: NCCL",
        ),
        (
            TRACEBACK.format("ValueError: of the rank")
            + TRACEBACK.format("torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n====="),
            1,
            "ValueError: of the rank",
        ),
        ("\x1b[31mValueError: red\x1b[0m\n", 1, "ValueError: red"),
        (
            " 10%|#   |\r 20%|##  |\n./train.sh: 3: foo: not found\n\n",
            127,
            "train.sh ended with exit code 127: ./train.sh: 3: foo: not found",
        ),
        (
            TRACEBACK.format("KeyError: 'logged'")
            + "usage: train.py [-h]\ntrain.py: error: no such option\n",
            2,
            "train.sh ended with exit code 2: train.py: error: no such option",
        ),
        (TRACEBACK.format("mine.Odd: y"), 2, "mine.Odd: y"),
        ("", 9, "train.sh ended with exit code 9 and wrote nothing to standard error."),
        ("", 139, "train.sh ended with exit code 139 (SIGSEGV) and wrote nothing to standard error."),
    ],
)
def test_the_cause_of_a_failure(stderr, code, cause):
    assert describe("train.sh", Ended(code, stderr.encode(), False)) == cause


@pytest.mark.contract("TT-63")
def test_a_kill_is_out_of_memory_whatever_was_said_before():
    cause = describe("train.py", Ended(137, TRACEBACK.format("OSError: disk").encode(), False))
    assert cause.startswith("train.py was killed (exit code 137): out of memory")


@given(st.binary(max_size=300), st.integers(1, 255))
def test_any_last_words_have_a_cause_of_one_line(stderr, code):
    cause = describe("train.py", Ended(code, stderr, False))
    assert cause.strip()
    assert "\n" not in cause


@pytest.mark.contract("TT-31", "TT-32")
@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none(), max_size=5))
def test_each_hyperparameter_is_one_option_and_one_value(hyperparameters):
    arguments = to_arguments(hyperparameters)
    assert len(arguments) == 2 * len(hyperparameters)
    names = [
        option.removeprefix("--") if len(option) > 2 else option.removeprefix("-")
        for option in arguments[::2]
    ]
    assert [name for name in names if not name.startswith("-")] == [
        name for name in sorted(hyperparameters) if not name.startswith("-")
    ] or any(name.startswith("-") for name in hyperparameters)


@pytest.mark.contract("TRAIN-27")
@pytest.mark.parametrize(
    "name", ["api_key", "HF_TOKEN", "client-secret", "Password", "private.pem", "aws_creds"]
)
def test_secrets_are_hidden(name):
    assert masked({name: "x", "epochs": 3}) == {name: "******", "epochs": 3}


@pytest.mark.contract("TT-20")
@pytest.mark.parametrize(
    "name", ["", "/a.py", "../a.py", "a/../b.py", "./a.py", "a b.py", "-c", "a;b", "a.py\n", "a//b.py", "a/"]
)
def test_a_name_that_is_more_than_a_path_is_refused(name):
    with pytest.raises(UserError, match="sagemaker_program"):
        program.check_name(name)


@pytest.mark.contract("TT-20")
@pytest.mark.parametrize("name", ["a.py", "_a+b-c.sh", "bin/a.py", ".a", "9"])
def test_a_plain_path_is_taken(name):
    program.check_name(name)


@pytest.mark.contract("TT-09")
@pytest.mark.parametrize(
    ("name", "files", "kind"),
    [
        ("a.sh", {"setup.py": ""}, "command"),
        ("a.py", {"setup.py": ""}, "package"),
        ("a.py", {"pyproject.toml": "[build-system]\nrequires = []"}, "package"),
        ("a.py", {"pyproject.toml": "[tool.ruff]"}, "script"),
        ("a.py", {}, "script"),
        ("a", {}, "command"),
    ],
)
def test_the_kind_of_a_program(tmp_path, name, files, kind):
    for file, text in files.items():
        (tmp_path / file).write_text(text)
    assert program.kind_of(name, tmp_path) == kind


def environment(tmp_path, hosts, current, hyperparameters=None, **more):
    config = tmp_path / "input" / "config"
    config.mkdir(parents=True, exist_ok=True)
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters or {}))
    (config / "resourceconfig.json").write_text(json.dumps({"current_host": current, "hosts": hosts, **more}))
    return read_environment(tmp_path)


ELEVEN = [f"algo-{number}" for number in range(1, 12)]


@pytest.mark.contract("TRAIN-43", "TRAIN-44", "TT-73")
def test_the_rank_is_the_place_in_the_sorted_list_also_with_eleven_hosts(tmp_path, monkeypatch):
    monkeypatch.setattr(launchers, "has_package", lambda name: True)
    ranks = {}
    for host in ELEVEN:
        words = launchers.torchrun(environment(tmp_path, ELEVEN, host), "train.py", "script")
        ranks[host] = int(words[words.index("--node_rank") + 1])
        assert words[words.index("--nnodes") + 1] == "11"
        assert words[words.index("--master_addr") + 1] == "algo-1"
        assert words[-1] == "train.py"
    assert ranks["algo-10"] == 1
    assert ranks["algo-2"] == 3
    assert sorted(ranks.values()) == list(range(11))


@pytest.mark.contract("TT-73")
def test_torchrun_takes_only_a_python_script_and_needs_torch(tmp_path, monkeypatch):
    job = environment(tmp_path, ["algo-1"], "algo-1")
    with pytest.raises(UserError, match=r"train\.sh"):
        launchers.torchrun(job, "train.sh", "command")
    monkeypatch.setattr(launchers, "has_package", lambda name: False)
    with pytest.raises(UserError, match="no torch"):
        launchers.torchrun(job, "train.py", "script")


@pytest.mark.contract("TT-70", "TT-78")
@pytest.mark.parametrize(
    "flag", [flag for flag in variables.DISTRIBUTIONS if flag not in (launchers.TORCH, launchers.MPI)]
)
def test_a_distribution_that_the_image_lacks_is_refused_by_name(tmp_path, flag):
    with pytest.raises(UserError, match=flag):
        launchers.chosen_distribution(environment(tmp_path, ["a"], "a", {flag: "true"}))
    assert launchers.chosen_distribution(environment(tmp_path, ["a"], "a", {flag: "false"})) is None


@pytest.mark.contract("TT-71", "TT-78")
def test_mpi_without_its_programs_is_refused_by_what_is_missing(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="sagemaker-training and mpirun"):
        launchers.check_mpi()


@pytest.mark.contract("TRAIN-45", "TT-43", "TT-78")
def test_a_group_that_does_not_take_part_runs_one_plain_process(tmp_path):
    groups = [
        {"instance_group_name": "data", "instance_type": "ml.m5.large", "hosts": ["algo-1"]},
        {"instance_group_name": "gpu", "instance_type": "ml.g5.xlarge", "hosts": ["algo-2", "algo-3"]},
    ]
    flags = {launchers.TORCH: "true", "sagemaker_distribution_instance_groups": '["gpu"]'}
    hosts = ["algo-1", "algo-2", "algo-3"]
    data = environment(tmp_path, hosts, "algo-1", flags, instance_groups=groups, current_group_name="data")
    assert launchers.chosen_distribution(data) is None
    gpu = environment(tmp_path, hosts, "algo-3", flags, instance_groups=groups, current_group_name="gpu")
    assert launchers.chosen_distribution(gpu) == launchers.TORCH
    assert variables.master_host(gpu) == "algo-2"
    assert [group.instance_type for group in gpu.instance_groups] == ["ml.m5.large", "ml.g5.xlarge"]


@pytest.mark.contract("TT-04", "TT-05")
@pytest.mark.parametrize(("given_level", "level"), [('"INFO"', 20), ("debug", 10), ("40", 40)])
def test_a_log_level_is_told_as_a_number(tmp_path, given_level, level):
    job = environment(tmp_path, ["a"], "a", {"sagemaker_container_log_level": given_level})
    assert variables.program_variables(job)["SM_LOG_LEVEL"] == str(level)


@pytest.mark.contract("TRAIN-24")
@pytest.mark.parametrize(
    ("ipv4", "ipv6", "route"),
    [
        ("Iface\tDestination\n", "00 lo\n", False),
        ("Iface\tDestination\neth0\t00000000\n", "", True),
        ("Iface\tDestination\n", "00 eth0\n", True),
        (None, None, True),
    ],
)
def test_a_container_without_a_route_is_known(tmp_path: Path, ipv4, ipv6, route):
    for name, text in (("route", ipv4), ("ipv6_route", ipv6)):
        if text is not None:
            (tmp_path / name).write_text(text)
    assert has_route(tmp_path / "route") is route


@pytest.mark.contract("TRAIN-24", "TT-16")
@pytest.mark.parametrize(
    ("said", "is_network"),
    [
        ("ERROR: Could not open requirements file: 'more.txt'", False),
        ("ERROR: Invalid requirement: 'a b'", False),
        ("ERROR: No matching distribution found for a==1", True),
        ("WARNING: Retrying: Name or service not known\nERROR: No matching distribution found", True),
    ],
)
def test_only_what_a_network_would_mend_is_laid_to_its_absence(tmp_path, monkeypatch, said, is_network):
    monkeypatch.setattr(pip, "has_route", lambda: False)
    monkeypatch.setattr(requirements, "run_process", lambda *_: Ended(1, said.encode(), False))
    (tmp_path / "requirements.txt").touch()
    with pytest.raises(InstallError) as caught:
        requirements.install(program.SCRIPT, tmp_path)
    assert ("network" in str(caught.value)) is is_network
