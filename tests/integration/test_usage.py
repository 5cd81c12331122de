"""What real containers of the tiny image use, and the pages and tables of their jobs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolkit.jobs import measured_job
from toolkit.jobs.job import Channel, JobResult, TrainingJob, plan
from toolkit.machine.containers import engine
from toolkit.machine.run_spec import RunSpec
from toolkit.measuring.usage import Recorder
from toolkit.measuring.usage_summary import Usage, summarise

MIB = 2**20


def use(image: str, script: str, **limits: Any) -> Usage:
    """What a container of the image uses while it runs the Python script."""
    spec = RunSpec(image=image, entrypoint=("python3",), command=("-c", script), purpose="usage", **limits)
    recorder = Recorder(limits.get("cpus"))
    with engine().run(spec) as container, recorder.watch("algo-1", container):
        assert container.wait() == 0
    (host,) = recorder.hosts
    found = summarise(host)
    assert found is not None, host.notes
    return found


def test_a_busy_loop_uses_its_limit_and_a_sleeping_one_hardly_anything(tiny: str) -> None:
    # Core seconds of the process itself, so that a busy machine changes nothing.
    loop = "import time\nwhile time.process_time() < 1.5: pass\nprint(time.process_time())\ntime.sleep(0.3)"
    busy = use(tiny, loop, cpus=0.5)
    assert busy.cpu_mean_cores * busy.time_s >= 1.4
    assert busy.cpus == 0.5
    assert busy.throttled_share > 0
    assert use(tiny, "import time; time.sleep(1.5)").cpu_mean_cores < 0.3


def test_memory_is_that_of_the_process_and_the_limit_that_of_the_container(tiny: str) -> None:
    script = "import time; kept = bytearray(b'x') * (200 * 2**20); time.sleep(1)"
    found = use(tiny, script, memory=512 * MIB, network="none")
    assert 200 * MIB <= found.memory_peak_bytes < 300 * MIB
    assert found.memory_limit_bytes == 512 * MIB
    assert found.network_in_bytes is None


@pytest.fixture
def train(tiny: str, data: Path, tmp_path: Path) -> Callable[..., JobResult]:
    def run(**changes: Any) -> JobResult:
        usual: dict[str, Any] = {
            "image": tiny,
            "name": "a-job",
            "channels": (Channel("train", data),),
            "jobs_dir": tmp_path / "jobs",
            "hyperparameters": {"epochs": "5", "pause": "0.2"},
        }
        return measured_job.run(plan(TrainingJob(**{**usual, **changes})))

    return run


def test_a_job_has_its_usage_in_its_result_its_table_and_its_page(
    train: Callable[..., JobResult], tmp_path: Path
) -> None:
    result = train()
    directory = tmp_path / "jobs" / "a-job"
    assert result.used.startswith("CPU ")
    (usage,) = json.loads((directory / "result.json").read_text())["Local"]["Usage"]
    assert usage["host"] == "algo-1"
    assert usage["memory_peak_bytes"] > MIB
    with (directory / "usage.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == usage["samples"] >= 3
    assert [float(row["time_s"]) for row in rows] == sorted(float(row["time_s"]) for row in rows)
    page = (directory / "report.html").read_text()
    assert result.report == directory / "report.html"
    assert "Memory, MB" in page
    assert "<h3>train-mean</h3>" in page


def test_every_host_is_sampled(train: Callable[..., JobResult]) -> None:
    result = train(hosts=2)
    assert [usage["host"] for usage in result.usage] == ["algo-1", "algo-2"]
    assert result.used.startswith("2 hosts: CPU ")


def test_a_host_that_is_started_again_goes_on_where_it_was(
    train: Callable[..., JobResult], tmp_path: Path
) -> None:
    result = train(spot_interrupt_after=(1.0,), spot_notice=0.0, checkpoint_dir=tmp_path / "checkpoints")
    assert result.interruptions == 1
    with (tmp_path / "jobs" / "a-job" / "usage.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for column in ("time_s", "cpu_total_s"):
        values = [float(row[column]) for row in rows]
        assert values == sorted(values)
    assert float(rows[-1]["time_s"]) > 1.5


def test_a_failed_job_has_its_reason_on_its_page(train: Callable[..., JobResult], tmp_path: Path) -> None:
    result = train(hyperparameters={"epocs": "1"})
    assert result.status == "Failed"
    assert "Hyperparameter epocs is unknown." in (tmp_path / "jobs" / "a-job" / "report.html").read_text()
