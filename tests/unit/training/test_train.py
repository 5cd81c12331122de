"""`train` as a process, with an algorithm that is found as an installed one is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from toolkit.building.images import ROOT

ALGORITHM = """
import time
from opt_ml.errors import UserError
from opt_ml.training import stopping
from opt_ml.training.staging import staged_model

def wait():
    while True:  # a signal just before a long sleep would be heard after it
        time.sleep(0.05)

def train(environment):
    what = environment.hyperparameters.get("what")
    if what == "mistake":
        raise UserError("train/a.csv line 3 has 2 fields. Give every row 3.")
    if what == "name":
        print("Reading a\\udcff.csv")
        raise UserError("train/a\\udcff.csv has no record.")
    if what == "bug":
        raise KeyError("x" * 3000)
    if what == "memory":
        raise MemoryError
    if what == "wait":
        print("waiting")
        wait()
    if what == "library":
        try:
            print("waiting")
            wait()
        except BaseException:
            raise KeyboardInterrupt from None
    with stopping.deferred():
        if what in ("epochs", "late"):
            print("waiting")
            while not stopping.requested():
                time.sleep(0.01)
        with staged_model(environment.model_dir) as staging:
            (staging / "model.json").write_text("{}")
            if what == "late":
                print("saving")
                time.sleep(1)
    if what == "epochs":
        stopping.check()
"""


@pytest.fixture
def start(tmp_path):
    """Start `train` on a job with the hyperparameter `what`; `installed` is how many algorithms there are."""

    def run(what, installed=1):
        packages = tmp_path / "packages"
        for number in range(installed):
            information = packages / f"tiny{number}-1.0.dist-info"
            information.mkdir(parents=True)
            (information / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: tiny{number}\nVersion: 1.0\n"
            )
            (information / "entry_points.txt").write_text("[opt_ml.train]\ntiny = tiny_algorithm:train\n")
        packages.mkdir(exist_ok=True)
        (packages / "tiny_algorithm.py").write_text(ALGORITHM)
        config = tmp_path / "ml" / "input" / "config"
        config.mkdir(parents=True)
        (config / "hyperparameters.json").write_text(f'{{"what": "{what}"}}')
        environment = {
            **os.environ,
            "PYTHONPATH": f"{ROOT / 'entrypoints'}:{packages}",
            "SAGEMAKER_BASE_DIR": str(tmp_path / "ml"),
        }
        return subprocess.Popen(
            [sys.executable, "-m", "opt_ml.training.main"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


@pytest.mark.contract("TRAIN-70", "TRAIN-75", "TRAIN-76", "TT-08")
def test_a_model_means_exit_code_0_and_no_failure_file(start, tmp_path):
    assert start("model").wait(60) == 0
    assert (tmp_path / "ml" / "model" / "model.json").exists()
    assert not (tmp_path / "ml" / "output").exists()


@pytest.mark.contract("TRAIN-75", "TRAIN-76", "TRAIN-77")
def test_a_mistake_of_the_user_is_one_line_without_a_traceback(start, tmp_path):
    process = start("mistake")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert (tmp_path / "ml" / "output" / "failure").read_text() == errors
    assert errors == "train/a.csv line 3 has 2 fields. Give every row 3.\n"


@pytest.mark.contract("TRAIN-51", "TRAIN-75")
def test_a_file_name_that_is_not_utf_8_can_be_told(start, tmp_path):
    process = start("name")
    lines, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert lines == "Reading a\\udcff.csv\n"
    assert (tmp_path / "ml" / "output" / "failure").read_text() == errors
    assert errors == "train/a\\udcff.csv has no record.\n"


@pytest.mark.contract("TRAIN-77")
def test_a_bug_has_its_cause_before_its_traceback(start, tmp_path):
    process = start("bug")
    process.communicate(timeout=60)
    failure = (tmp_path / "ml" / "output" / "failure").read_text()
    assert process.returncode == 1
    assert failure.startswith("KeyError: 'xxx")
    assert "Traceback (most recent call last)" in failure


def test_out_of_memory_has_a_cure(start, tmp_path):
    start("memory").communicate(timeout=60)
    assert "more memory" in (tmp_path / "ml" / "output" / "failure").read_text()


@pytest.mark.contract("TRAIN-04", "TRAIN-79", "TRAIN-94")
@pytest.mark.parametrize("what", ["wait", "library"])
def test_sigterm_ends_the_job_and_lines_printed_before_are_out_already(start, tmp_path, what):
    process = start(what)
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert errors == f"Stopped before a model was complete: nothing is in {tmp_path}/ml/model.\n"
    assert not (tmp_path / "ml" / "output").exists()
    assert not (tmp_path / "ml" / "model").exists()


@pytest.mark.contract("TRAIN-95")
def test_an_algorithm_that_polls_saves_what_it_has_and_the_job_counts_as_stopped(start, tmp_path):
    process = start("epochs")
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert errors == f"Stopped with what was complete in {tmp_path}/ml/model.\n"
    assert (tmp_path / "ml" / "model" / "model.json").exists()
    assert not (tmp_path / "ml" / "output").exists()


@pytest.mark.contract("TRAIN-95")
def test_further_signals_do_not_disturb_the_saving_and_a_whole_model_is_success(start, tmp_path):
    process = start("late")
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "saving\n"
    for _ in range(3):
        process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert (tmp_path / "ml" / "model" / "model.json").exists()


def test_a_second_ctrl_c_ends_a_job_that_saves(start, tmp_path):
    process = start("late")
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "saving\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert not (tmp_path / "ml" / "model").exists()


def test_an_image_without_an_algorithm_says_so(start, tmp_path):
    assert start("model", installed=0).wait(60) == 1
    assert "no built-in algorithm" in (tmp_path / "ml" / "output" / "failure").read_text()


def test_an_image_with_two_algorithms_says_which(start, tmp_path):
    assert start("model", installed=2).wait(60) == 1
    assert (
        "two packages of this image register opt_ml.train"
        in (tmp_path / "ml" / "output" / "failure").read_text()
    )
