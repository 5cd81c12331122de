"""Tuning jobs in real containers of the tiny image, whose objective does not move: it is the mean label."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration import tiny_image
from tests.unit.checkout import ROOT
from toolkit.errors import ToolkitError
from toolkit.jobs.training_job import Channel, TrainingJob
from toolkit.machine.containers import LABEL
from toolkit.tuning_jobs.tuning import Tuner
from toolkit.tuning_jobs.tuning_job import Objective, TuningJob, plan
from toolkit.tuning_jobs.tuning_ranges import parse_range
from toolkit.tuning_jobs.tuning_record import Tuning

Tune = Callable[..., Tuning]


@pytest.fixture
def make(tiny: str, data: Path, tmp_path: Path) -> Callable[..., TuningJob]:
    def make_job(*ranges: str, hyperparameters: dict[str, str] | None = None, **changes: Any) -> TuningJob:
        training = TrainingJob(
            image=tiny,
            channels=(Channel("train", data),),
            hyperparameters=hyperparameters or {},
            isolated=True,
        )
        usual: dict[str, Any] = {
            "training": training,
            "objective": Objective("train-mean", True),
            "ranges": tuple(parse_range(text) for text in ranges or ("scale=1.0:2.0",)),
            "name": "a-tuning-job",
            "max_jobs": 3,
            "jobs_dir": tmp_path / "jobs",
        }
        return plan(TuningJob(**{**usual, **changes}))

    return make_job


@pytest.fixture
def tune(make: Callable[..., TuningJob]) -> Tune:
    return lambda *ranges, **changes: Tuner(make(*ranges, **changes)).run()


@pytest.mark.contract("TRAIN-112")
def test_a_tuning_job_runs_its_jobs_and_records_them(tune: Tune, tmp_path: Path) -> None:
    tuning = tune("epochs=1:3", parallel_jobs=2)
    directory = tmp_path / "jobs" / "a-tuning-job"
    record = json.loads((directory / "tuning.json").read_text())
    assert record["HyperParameterTuningJobStatus"] == "Completed"
    assert record["TrainingJobStatusCounters"]["Completed"] == 3
    assert sorted(job["TunedHyperParameters"]["epochs"] for job in record["TrainingJobSummaries"]) == [
        "1",
        "2",
        "3",
    ]
    best = record["BestTrainingJob"]
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 5.0
    assert Path(best["ModelArtifacts"]["S3ModelArtifacts"]).exists()
    assert tuning.best is not None
    config = directory / tuning.best.name / "algo-1" / "input" / "config" / "hyperparameters.json"
    assert json.loads(config.read_text())["_tuning_objective_metric"] == "train-mean"
    assert {path.name for path in directory.iterdir()} == {
        "report.html",
        "tuning.json",
        *(trial.name for trial in tuning.trials),
    }


@pytest.mark.contract("TRAIN-94", "TRAIN-114", "TRAIN-115")
def test_a_job_that_falls_behind_is_stopped_by_sigterm(make: Callable[..., TuningJob]) -> None:
    # Each job prints its epochs as `epoch=N;`. They only grow, so that each is soon worse than the running
    # average of those before; three jobs end before there is a median.
    job = make(
        "pause=0,0.01,0.02,0.5",
        hyperparameters={"epochs": "40"},
        objective=Objective("epoch", True),
        strategy="Grid",
        max_jobs=4,
        early_stopping=True,
    )
    tuning = Tuner(job).run()
    last = tuning.trials[-1]
    assert [trial.status for trial in tuning.trials] == ["Completed"] * 3 + ["Stopped"]
    assert last.early_stopped
    assert len(last.values_of_objective) < 40
    result = json.loads((job.directory / last.name / "result.json").read_text())
    assert result["Local"]["ExitCodes"] == {"algo-1": 143}


def test_jobs_that_fail_end_the_tuning_job_with_the_reason_of_the_first(tune: Tune) -> None:
    tuning = tune("epocs=1:100", max_failed=2)
    assert (tuning.status, len(tuning.trials)) == ("Failed", 2)
    assert tuning.reason == (
        "2 training jobs failed. The first: Hyperparameter epocs is unknown. Known are epochs, pause, scale."
    )


def test_an_objective_that_the_log_lacks_ends_it_after_one_job_and_names_those_it_has(tune: Tune) -> None:
    tuning = tune(objective=Objective("validation-rmse", True))
    assert (tuning.status, len(tuning.trials)) == ("Failed", 1)
    assert "no metric validation-rmse; it has: epoch, train-mean." in tuning.reason


def test_a_tuning_job_learns_from_an_earlier_one(tune: Tune, tmp_path: Path) -> None:
    tune(max_jobs=2)
    later = tune(name="later", max_jobs=1, parents=(tmp_path / "jobs" / "a-tuning-job",))
    assert later.known == 2
    record = json.loads((tmp_path / "jobs" / "later" / "tuning.json").read_text())
    assert record["WarmStartConfig"]["ParentHyperParameterTuningJobs"] == [
        {"HyperParameterTuningJobName": "a-tuning-job"}
    ]


def test_an_image_that_is_not_there_is_told_before_anything_is_written(
    make: Callable[..., TuningJob],
) -> None:
    job = make()
    job = replace(job, training=replace(job.training, image="no-such-image:latest"))
    with pytest.raises(ToolkitError, match="no image no-such-image:latest"):
        Tuner(job).run()
    assert not job.directory.exists()


SLOW_TO_SAVE = """
import json, signal, sys, time
from pathlib import Path
kind = json.loads(Path("/opt/ml/input/config/hyperparameters.json").read_text())["kind"]
def save(*_):
    if kind == "slow":
        time.sleep(4)
        Path("/opt/ml/model/model.json").write_text("saved")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
if kind == "bad":
    time.sleep(4)
    sys.exit(1)
while True:
    time.sleep(0.05)
"""


@pytest.mark.contract("TRAIN-95")
def test_a_job_that_saves_while_the_others_end_is_not_killed(tiny: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(SLOW_TO_SAVE)
    training = TrainingJob(
        image=tiny,
        source_dir=tmp_path,
        entry_point="main.py",
        entrypoint=("python3", "/opt/ml/code/main.py"),
    )
    job = TuningJob(
        training=training,
        objective=Objective("none", True),
        ranges=(parse_range("kind=slow,quick,bad"),),
        name="a-tuning-job",
        strategy="Grid",
        parallel_jobs=3,
        max_failed=1,
        jobs_dir=tmp_path / "jobs",
    )
    tuning = Tuner(plan(job)).run()
    assert [trial.status for trial in tuning.trials] == ["Stopped", "Stopped", "Failed"]
    assert tuning.trials[0].model is not None


def command(*arguments: str, image: str, data: Path, tmp_path: Path) -> list[str]:
    given = ["--channel", f"train={data}", "--output", str(tmp_path / "jobs"), "--job-name", "by-command"]
    objective = ["--objective", "train-mean", "--minimize"]
    return [sys.executable, str(ROOT / "build.py"), "tune", image, *objective, *given, *arguments]


def test_ctrl_c_stops_the_jobs_that_run_and_keeps_what_is_done(tiny: str, data: Path, tmp_path: Path) -> None:
    arguments = ["--range", "pause=0,30", "--strategy", "Grid", "--hyperparameter", "epochs=2"]
    process = subprocess.Popen(
        command(*arguments, image=tiny, data=data, tmp_path=tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    watchdog = threading.Timer(100, process.kill)
    watchdog.start()
    seen = []
    for line in process.stdout:
        seen.append(line)
        if line.startswith("001 "):
            os.kill(process.pid, signal.SIGINT)
    watchdog.cancel()
    assert process.wait() == 130, "".join(seen)
    record = json.loads((tmp_path / "jobs" / "by-command" / "tuning.json").read_text())
    assert record["HyperParameterTuningJobStatus"] == "Stopped"
    assert record["BestTrainingJob"]["TunedHyperParameters"] == {"pause": "0"}
    counters = record["TrainingJobStatusCounters"]
    assert (counters["Completed"], counters["InProgress"], counters["NonRetryableError"]) == (1, 0, 0)
    for job in record["TrainingJobSummaries"]:
        query = ["docker", "ps", "--all", "--quiet", "--filter", f"label={LABEL}={job['TrainingJobName']}"]
        assert subprocess.run(query, capture_output=True, text=True, check=True).stdout == ""


def test_the_command_prints_the_record_as_json_and_all_else_beside_it(
    tiny: str, data: Path, tmp_path: Path
) -> None:
    arguments = ["--range", "scale=1,2", "--strategy", "Grid", "--json"]
    done = subprocess.run(
        command(*arguments, image=tiny, data=data, tmp_path=tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["TrainingJobStatusCounters"]["Completed"] == 2
    assert "Best: by-command-001-" in done.stderr


def test_a_dry_run_writes_nothing(tiny: str, data: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        command("--range", "scale=1:9", "--dry-run", image=tiny, data=data, tmp_path=tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "scale: 1 to 9, whole numbers" in done.stdout
    assert not (tmp_path / "jobs").exists()
    assert tiny_image.TINY in done.stdout
