"""The ensemble on several hosts, as containers on a network: one model, or one cause."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from toolkit.building.images import local_reference
from toolkit.jobs.job import Channel, JobResult, TrainingJob, execute, plan
from toolkit.machine.containers import Container

HYPERPARAMETERS = {"models": "xgboost,linear", "num_round": "30", "k_fold": "3"}
# After the first of many short folds there is time to lose a host while the others boost with it.
BOOSTING = {"models": "xgboost", "num_round": "100", "k_fold": "50", "header": "false"}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1200 rows in four files."""
    directory = tmp_path_factory.mktemp("parts")
    source = random.Random(4)
    for part in range(4):
        rows = []
        for _ in range(300):
            a, b, c = (source.gauss(0, 1) for _ in range(3))
            rows.append(f"{a},{b},{c},{3 * a - b * b + source.gauss(0, 0.1)}\n")
        (directory / f"{part}.csv").write_text("".join(rows))
    return directory


def run(tmp_path: Path, parts: Path, hosts: int, mode: str, **more: object) -> JobResult:
    channel = Channel("train", parts, "text/csv", mode, "ShardedByS3Key")
    job = TrainingJob(
        image=local_reference("ensemble-cpu"),
        channels=(channel,),
        name=f"{mode.lower()}-{hosts}-hosts",
        hosts=hosts,
        jobs_dir=tmp_path,
        **{"hyperparameters": HYPERPARAMETERS, **more},  # type: ignore[arg-type]
    )
    return execute(plan(job))


def metrics(result: JobResult) -> dict[str, dict[str, float]]:
    found = json.loads((result.host_dir / "model" / "metrics.json").read_text())
    return {part: found[part]["blend"] for part in ("train", "validation")}


@pytest.mark.contract("TRAIN-44", "TRAIN-50", "TRAIN-74")
def test_two_hosts_with_half_of_the_files_each_give_the_metrics_of_one(tmp_path: Path, parts: Path) -> None:
    one, two = (run(tmp_path, parts, hosts, "File") for hosts in (1, 2))
    assert one.status == "Completed", one.summary()
    assert two.status == "Completed", two.summary()
    for part, wanted in metrics(one).items():
        assert metrics(two)[part] == pytest.approx(wanted, rel=1e-5)
    assert [any((base / "model").iterdir()) for base in two.host_dirs.values()] == [True, False]


@pytest.mark.contract("TRAIN-56", "TRAIN-59")
def test_two_hosts_read_their_shares_through_pipes(tmp_path: Path, parts: Path) -> None:
    result = run(tmp_path, parts, 2, "Pipe")
    assert result.status == "Completed", result.summary()
    found = json.loads((result.host_dir / "model" / "model.json").read_text())
    assert sum(source["rows"] for source in found["channels"]["train"]) == 1200


@pytest.mark.contract("TRAIN-75", "TRAIN-77")
def test_a_host_that_is_killed_while_boosting_is_named_by_the_leader(tmp_path: Path, parts: Path) -> None:
    containers: dict[str, Container] = {}

    @contextmanager
    def remember(host: str, container: Container) -> Iterator[None]:
        containers[host] = container
        yield

    def kill_later(line: str) -> None:
        if "fold-0-rmse" in line and "algo-2" in containers:
            containers.pop("algo-2").kill()

    channel = Channel("train", parts, "text/csv")
    job = TrainingJob(
        image=local_reference("ensemble-cpu"),
        channels=(channel,),
        name="killed",
        hosts=2,
        jobs_dir=tmp_path,
        hyperparameters=BOOSTING,
    )
    result = execute(plan(job), on_line=kill_later, watch=remember)
    assert result.status == "Failed"
    assert (result.host_dirs["algo-1"] / "output" / "failure").read_text().startswith("Host algo-2 was lost")
