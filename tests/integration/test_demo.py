"""The walk of `make demo`, and the lines that it prints to be typed by hand."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

from toolkit.building.images import ROOT

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What the demo prints, run in an empty directory."""
    directory = tmp_path_factory.mktemp("demo")
    command = [sys.executable, str(ROOT / "build.py"), "demo"]
    result = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return directory, result.stdout


def test_five_patients_stand_beside_their_truth(shown):
    rows = re.findall(r"^ +[1-5] +([\d.]+) +(\d+)$", shown[1], flags=re.MULTILINE)
    assert len(rows) == 5
    assert all(25 <= int(truth) <= 346 for _, truth in rows)


def test_the_blend_is_not_worse_than_the_worst_single_model(shown):
    table = shown[1].partition("RMSE over")[2].partition("==")[0]
    errors = {
        name: float(error) for name, error in re.findall(r"^  (\w+) +([\d.]+)$", table, flags=re.MULTILINE)
    }
    blend = errors.pop("blend")
    assert len(errors) >= 3
    assert blend <= max(errors.values())


def test_the_report_and_the_model_lie_where_it_says(shown):
    directory, text = shown
    for pattern in (r"^Report: (\S+)", r"^Completed in [\d.]+ s: (\S+)"):
        assert (directory / re.search(pattern, text, flags=re.MULTILINE)[1]).is_file()


def test_the_train_line_works_as_it_is_printed_and_without_a_network(shown):
    directory, text = shown
    line = next(line for line in text.splitlines() if line.endswith(" train"))
    environment = {**os.environ, "PWD": str(directory)}
    offline = line.replace("docker run", "docker run --network none")
    subprocess.run(["sh", "-c", offline], cwd=directory, env=environment, check=True, capture_output=True)
    assert (directory / "jobs" / "demo" / "model" / "model.json").is_file()


@pytest.mark.parametrize("moment", ["cross-validation", "Healthy at"])
def test_ctrl_c_leaves_no_container_and_no_network(tmp_path, moment):
    before = left_behind()
    command = [sys.executable, "-u", str(ROOT / "build.py"), "demo"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    for line in process.stdout:
        if moment in line:
            os.killpg(process.pid, signal.SIGINT)
            break
    process.communicate(timeout=120)
    assert process.returncode == 130
    assert left_behind() == before


def left_behind():
    """Containers and networks that this project has started and not removed."""
    found = []
    for what in (["ps", "--all"], ["network", "ls"]):
        command = ["docker", *what, "--quiet", "--filter", "label=opt-ml.started-by"]
        found += subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return sorted(found)
