import os
import subprocess
import sys

import pytest
from opt_ml.training.sdk_driver import is_driver, report

from toolkit.building.images import ROOT

DRIVER = b"python3\0/opt/ml/input/data/sm_drivers/distributed_drivers/basic_script_driver.py\0"
SDK_BASH = b"/bin/bash\0-c\0chmod +x /opt/ml/input/data/sm_drivers/sm_train.sh && ...\0"


def fail(opt_ml):
    try:
        raise ValueError("The rate must be above 0.")
    except ValueError as error:
        report(type(error), error, error.__traceback__, opt_ml)


@pytest.mark.contract("V3-33", "TRAIN-77")
def test_the_exception_stands_before_its_traceback(tmp_path, capsys):
    (tmp_path / "output").mkdir()
    fail(tmp_path)
    cause, _, details = (tmp_path / "output" / "failure").read_text().partition("\n\n")
    assert cause == "ValueError: The rate must be above 0."
    assert details.startswith("Traceback (most recent call last)")
    assert details in capsys.readouterr().err


def test_what_the_script_has_written_itself_is_kept(tmp_path):
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "failure").write_text("mine")
    fail(tmp_path)
    assert (tmp_path / "output" / "failure").read_text() == "mine"


def test_outside_a_job_nothing_is_written(tmp_path):
    fail(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command_line", "expected"),
    [(DRIVER, True), (SDK_BASH, True), (b"python3\0train.py\0", False), (b"/bin/sh\0-c\0./run.sh\0", False)],
)
def test_only_what_a_driver_starts_is_the_job(command_line, expected):
    assert is_driver(command_line) is expected


def test_a_python_that_no_driver_started_keeps_its_hook():
    start = "from opt_ml.training.sdk_driver import install; install(); import sys"
    code = f"{start}; assert sys.excepthook is sys.__excepthook__"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "entrypoints")}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


@pytest.mark.contract("V3-33", "TRAIN-77")
def test_a_rank_of_torchrun_reports_its_exception_and_what_it_starts_does_not(tmp_path):
    """torchrun itself says `ChildFailedError:`, and nothing of the cause in its first line."""
    tell = (
        "import subprocess, sys; from opt_ml.training.sdk_driver import install; install();"
        "print(sys.argv[1], sys.excepthook is not sys.__excepthook__, flush=True)"
    )
    rank = f"{tell}; subprocess.run([sys.executable, '-c', {tell!r}, 'worker'], check=True)"
    torchrun = (
        "import os, subprocess, sys; os.environ['TORCHELASTIC_RUN_ID'] = 'none';"
        f"subprocess.run([sys.executable, '-c', {rank!r}, 'rank'], check=True)"
    )
    driver = tmp_path / "sm_drivers" / "torchrun_driver.py"
    driver.parent.mkdir()
    driver.write_text(
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {torchrun!r}], check=True)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "entrypoints")}
    ran = subprocess.run(
        [sys.executable, str(driver)], env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines() == ["rank True", "worker False"]


def test_the_line_of_every_start_does_nothing_outside_such_a_job():
    (line,) = (ROOT / "entrypoints" / "opt_ml.pth").read_text().splitlines()
    assert line.startswith("import ")  # what makes `site` run it
    code = f"{line}\nimport sys; assert 'opt_ml' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
