"""Jobs on several hosts, each a `train` process of its own with its own loopback address."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xgboost

_ADDRESSES = (f"127.{random.randint(1, 250)}.{random.randint(1, 250)}.{n}" for n in itertools.count(1))


class Cluster:
    """The hosts of one job: their files, processes and endings."""

    def __init__(self, base: Path, count: int) -> None:
        self.hosts = sorted(next(_ADDRESSES) for _ in range(count))
        self.bases = [base / f"host-{rank}" for rank in range(count)]
        self.channels: dict[str, dict[str, str]] = {}
        self._running: list[subprocess.Popen[str]] = []

    def file(self, channel: str, name: str, content: str, ranks: list[int], **settings: str) -> None:
        self.channels.setdefault(channel, {}).update(settings)
        for rank in ranks:
            path = self.bases[rank] / "input" / "data" / channel / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    def start(self, hyperparameters: dict[str, str], ranks: list[int] | None = None) -> None:
        for rank in range(len(self.hosts)) if ranks is None else ranks:
            config = self.bases[rank] / "input" / "config"
            config.mkdir(parents=True)
            (config / "hyperparameters.json").write_text(json.dumps({"nthread": "1", **hyperparameters}))
            (config / "inputdataconfig.json").write_text(json.dumps(self.channels))
            resources = {
                "current_host": self.hosts[rank],
                "hosts": self.hosts,
                "network_interface_name": "lo",
            }
            (config / "resourceconfig.json").write_text(json.dumps(resources))
            log = (self.bases[rank] / "log").open("w")
            environment = {**os.environ, "SAGEMAKER_BASE_DIR": str(self.bases[rank])}
            command = [sys.executable, "-m", "opt_ml.training.main"]
            self._running.append(
                subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT, text=True)
            )

    def log(self, rank: int) -> str:
        return (self.bases[rank] / "log").read_text()

    def failure(self, rank: int) -> str:
        path = self.bases[rank] / "output" / "failure"
        return path.read_text().splitlines()[0] if path.exists() else ""

    def until(self, rank: int, text: str) -> None:
        deadline = time.monotonic() + 60
        while text not in self.log(rank):
            assert time.monotonic() < deadline, self.log(rank)
            time.sleep(0.02)

    def signal(self, rank: int, number: int) -> None:
        self._running[rank].send_signal(number)

    def wait(self) -> list[int]:
        """The exit codes; a host that hangs is a failure, and no process is left."""
        try:
            return [process.wait(90) for process in self._running]
        finally:
            self.end()

    def end(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.kill()
                process.wait()

    def metrics(self) -> dict:
        return json.loads((self.bases[0] / "model" / "metrics.json").read_text())


@pytest.fixture
def cluster(tmp_path):
    made = []

    def make(count: int = 2) -> Cluster:
        made.append(Cluster(tmp_path / f"cluster-{len(made)}", count))
        return made[-1]

    yield make
    for one in made:
        one.end()


FAST = {"models": "xgboost,linear", "num_round": "30", "k_fold": "3", "label": "y", "weight_column": "w"}
# After the first of many short folds there is time to end the job while it boosts.
BOOSTING = {"models": "xgboost", "num_round": "100", "k_fold": "50", "label": "y"}
# One call of a library that lasts for an hour and asks nobody.
OCCUPIED = {
    "models": "catboost",
    "num_round": "100000",
    "early_stopping_rounds": "0",
    "k_fold": "2",
    "label": "y",
}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """3000 rows with gaps, categories and weights."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(rng.normal(size=(3000, 5)), columns=list("abcde"))
    frame["kind"] = rng.choice(["red", "green", "blue"], 3000)
    frame.loc[rng.random(3000) < 0.1, "b"] = np.nan
    frame["w"] = rng.integers(0, 4, 3000)
    noise = rng.normal(0, 0.2, 3000)
    return frame.assign(y=3 * frame["a"] - frame["c"] ** 2 + 2 * (frame["kind"] == "red") + noise)


def assert_same_model(one: Path, other: Path) -> None:
    matrix = np.random.default_rng(1).normal(size=(500, 6)).astype(np.float32)
    matrix[:, 5] = np.arange(500) % 3
    boosters = [xgboost.Booster(model_file=base / "model" / "xgboost.ubj") for base in (one, other)]
    found = [booster.inplace_predict(matrix, validate_features=False) for booster in boosters]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5, atol=1e-5)
    metrics = [json.loads((base / "model" / "metrics.json").read_text()) for base in (one, other)]
    for part in ("train", "validation"):
        assert metrics[1][part]["blend"] == pytest.approx(metrics[0][part]["blend"], rel=1e-5)


@pytest.mark.contract("TRAIN-43", "TRAIN-44", "TRAIN-50", "TRAIN-74")
def test_hosts_with_a_share_of_the_files_give_the_model_of_one_host_with_all(cluster, job, table):
    several = cluster(2)
    for number, start in enumerate(range(0, 3000, 500)):
        part = table[start : start + 500].to_csv(index=False)
        job.file("train", f"part/{number}.csv", part)
        several.file("train", f"part/{number}.csv", part, [number % 2], S3DistributionType="ShardedByS3Key")
    job.run(FAST, fast=False)
    several.start(FAST)
    assert several.wait() == [0, 0], several.log(0) + several.log(1)
    assert_same_model(job.base, several.bases[0])
    assert not (several.bases[1] / "model").exists()
    channels = json.loads((several.bases[0] / "model" / "model.json").read_text())["channels"]
    assert channels == job.model["channels"]


@pytest.mark.contract("TRAIN-45", "TRAIN-46")
def test_a_channel_of_another_instance_group_is_read_over_there(cluster, job, table):
    several = cluster(2)
    texts = {"train": table[:2000].to_csv(index=False), "validation": table[2000:].to_csv(index=False)}
    for name, text in texts.items():
        job.file(name, "rows.csv", text)
    several.file("train", "rows.csv", texts["train"], [0, 1])
    several.file("validation", "rows.csv", texts["validation"], [1])
    once = {**FAST, "k_fold": "0"}
    job.run(once, fast=False)
    several.start(once)
    assert several.wait() == [0, 0], several.log(0) + several.log(1)
    assert_same_model(job.base, several.bases[0])


@pytest.mark.contract("TRAIN-75", "TRAIN-77")
def test_a_broken_file_of_another_host_is_named_on_both(cluster, table):
    several = cluster(2)
    text = table[:60].to_csv(index=False)
    several.file("train", "0.csv", text, [0], S3DistributionType="ShardedByS3Key")
    several.file("train", "1.csv", text + "1,2\n", [1])
    several.start({**FAST, "models": "linear"})
    assert several.wait() == [1, 1]
    for rank in range(2):
        assert several.failure(rank).startswith("train/1.csv line 62 has 2 fields")


@pytest.mark.contract("TRAIN-75", "TRAIN-77")
@pytest.mark.parametrize(
    ("hyperparameters", "count", "lost"), [(BOOSTING, 3, 1), (BOOSTING, 2, 0), (OCCUPIED, 2, 1)]
)
def test_a_lost_host_ends_the_others_with_its_name(cluster, table, hyperparameters, count, lost):
    several = cluster(count)
    several.file("train", "0.csv", table.to_csv(index=False), list(range(count)))
    several.start(hyperparameters)
    several.until(0, "fold-0-rmse" if hyperparameters is BOOSTING else "2-fold cross-validation")
    several.signal(lost, signal.SIGKILL)
    codes = several.wait()
    for rank in set(range(count)) - {lost}:
        assert codes[rank] == 1
        assert several.failure(rank).startswith(f"Host {several.hosts[lost]} was lost"), several.log(rank)


def test_a_host_that_does_not_come_is_named_after_host_timeout(cluster, table):
    several = cluster(2)
    several.file("train", "0.csv", table.to_csv(index=False), [0, 1])
    several.start({**FAST, "models": "linear", "host_timeout": "1"}, [0])
    assert several.wait() == [1]
    assert f"in vain for the hosts {several.hosts[1]}" in several.failure(0)


def test_a_leader_that_does_not_come_is_named_after_host_timeout(cluster, table):
    several = cluster(2)
    several.file("train", "0.csv", table.to_csv(index=False), [0, 1])
    several.start({**FAST, "models": "linear", "host_timeout": "1"}, [1])
    assert several.wait() == [1]
    assert f"in vain for the leading host {several.hosts[0]}" in several.failure(1)


@pytest.mark.contract("TRAIN-94", "TRAIN-95")
def test_sigterm_on_every_host_leaves_what_can_be_served_and_no_failure(cluster, table):
    several = cluster(2)
    several.file("train", "0.csv", table.to_csv(index=False), [0, 1])
    several.start(BOOSTING)
    several.until(0, "fold-0-rmse")
    for rank in (1, 0):
        several.signal(rank, signal.SIGTERM)
    assert several.wait() == [143, 143], several.log(0) + several.log(1)
    assert not any(several.failure(rank) for rank in range(2))
    assert (several.bases[0] / "model" / "xgboost.ubj").exists()
