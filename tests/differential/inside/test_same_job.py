"""The same jobs by both: every variable, argument and file, but for the wanted differences."""

from __future__ import annotations

import os
import subprocess

import pytest
from differences import DIFFERENCES, STARTED
from hypothesis import HealthCheck, given, settings
from jobs import DUMP, Job, jobs
from trainers import clean_up, differing

JOBS = 500


@pytest.fixture(autouse=True, scope="module")
def _tidy():
    yield
    clean_up()


def unexplained(job):
    names, pairs, logs = differing(job)
    allowed = {name for row in DIFFERENCES.values() if row.applies(job) for name in row.facts}
    return {name: pairs[name] for name in (set() if STARTED in allowed else names - allowed)}, logs


@settings(
    max_examples=JOBS,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(job=jobs())
def test_generated_jobs_are_told_the_same(job):
    differences, logs = unexplained(job)
    assert differences == {}, logs


@pytest.mark.parametrize("name", DIFFERENCES)
def test_each_wanted_difference_is_there(name):
    row = DIFFERENCES[name]
    if row.example.one_cpu and len(os.sched_getaffinity(0)) == 1:
        pytest.skip("this machine has one CPU")
    applying = {other for other, each in DIFFERENCES.items() if each.applies(row.example)} - {"unbuffered"}
    assert applying == {name} - {"unbuffered"}
    names, pairs, logs = differing(row.example)
    if row.facts == {STARTED}:
        theirs, ours = pairs["exit code"]
        assert (theirs == 0) != (ours == 0), logs
    else:
        assert names - {"PYTHONUNBUFFERED"} <= row.facts, logs
        assert names & row.facts, logs


SETUP = "from setuptools import setup; setup(name='mine', version='1', py_modules=['train'])"


@pytest.mark.parametrize(
    "job",
    [
        Job(extra_files={"setup.py": SETUP}),
        Job(extra_files={"requirements.txt": "pip\n"}, source="archive"),
        Job(extra_files={"requirements.txt": "no such package!\n"}),
        Job(program="../train.py", variables={"SAGEMAKER_PROGRAM": "../train.py"}),
        Job(variables={"SAGEMAKER_PROGRAM": ""}),
        Job(variables={"SAGEMAKER_PROGRAM": "-c"}),
        Job(hyperparameters={"text": "a\0b"}),
        Job(hyperparameters={"sagemaker_submit_directory": '"/missing"'}, source="directory"),
        Job(program="train.sh", text="exit 1\n"),
        Job(hyperparameters={"quotes": 'it\'s "here" $HOME `date` \\'}, program="train.sh"),
    ],
    ids=lambda job: job.program,
)
def test_rare_jobs_are_told_the_same(job):
    variables = {**job.variables, "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1"}
    differences, logs = unexplained(Job(**{**vars(job), "variables": variables}))
    assert differences == {}, logs


def test_the_aws_toolkit_is_an_engine_of_our_train():
    variables = Job(variables={"OPT_ML_TRAINING_ENGINE": "sagemaker-training"}).lay_out()
    run = subprocess.run(["train"], env=variables, capture_output=True, text=True, check=True)
    assert "sagemaker-training-toolkit" in run.stderr
    assert DUMP.exists()


def test_success_and_an_own_failure_file_are_kept_by_both():
    job = Job(text="open('/opt/ml/output/failure', 'w').write('mine'); raise SystemExit(1)")
    differences, logs = unexplained(job)
    assert differences == {}, logs
