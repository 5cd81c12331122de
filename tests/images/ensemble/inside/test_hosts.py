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
from collections.abc import Callable
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
            resources = {"current_host": self.hosts[rank], "hosts": self.hosts, "network_interface_name": "lo"}
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


@pytest.fixture(scope="module")
def tables() -> Callable[[str, int], pd.DataFrame]:
    """Rows with gaps, categories and weights; the label is a number, one of two classes or one of three."""

    def make(task: str, rows: int) -> pd.DataFrame:
        rng = np.random.default_rng(5)
        frame = pd.DataFrame(rng.normal(size=(rows, 5)), columns=list("abcde"))
        frame["kind"] = rng.choice(["red", "green", "blue"], rows)
        frame.loc[rng.random(rows) < 0.1, "b"] = np.nan
        frame["w"] = rng.integers(0, 4, rows)
        y = 3 * frame["a"] - frame["c"] ** 2 + 2 * (frame["kind"] == "red") + rng.normal(0, 0.2, rows)
        frame["y"] = {
            "regression": y,
            "binary": np.where(y > 0, "yes", "no"),
            "multiclass": np.digitize(y, [-1, 2]),
        }[task]
        return frame

    return make


FAST = {"models": "xgboost", "num_round": "30", "k_fold": "3", "weight_column": "w", "label": "y"}


def predictions(base: Path, rows: int) -> np.ndarray:
    booster = xgboost.Booster(model_file=base / "model" / "xgboost.ubj")
    matrix = np.random.default_rng(1).normal(size=(rows, 6)).astype(np.float32)
    matrix[:, 5] = np.arange(rows) % 3
    return booster.inplace_predict(matrix, validate_features=False)


def assert_same_model(one: Cluster, other: Cluster) -> None:
    np.testing.assert_allclose(
        predictions(one.bases[0], 500), predictions(other.bases[0], 500), rtol=1e-4, atol=1e-5
    )
    for part in ("train", "validation"):
        for name, value in one.metrics()[part]["blend"].items():
            assert other.metrics()[part]["blend"][name] == pytest.approx(value, rel=1e-5), name


@pytest.mark.contract("TRAIN-43", "TRAIN-50", "TRAIN-74")
@pytest.mark.parametrize(("task", "count"), [("regression", 2), ("binary", 3), ("multiclass", 2)])
def test_hosts_with_a_share_of_the_files_give_the_model_of_one_host_with_all(cluster, tables, task, count):
    table = tables(task, 3000)
    parts = [table[start : start + 500].to_csv(index=False) for start in range(0, 3000, 500)]
    one, several = cluster(1), cluster(count)
    for number, part in enumerate(parts):
        name = f"part/{number}.csv"
        one.file("train", name, part, [0])
        several.file("train", name, part, [number % count], S3DistributionType="ShardedByS3Key")
    one.start(FAST)
    several.start(FAST)
    assert one.wait() == [0]
    assert several.wait() == [0] * count, "".join(several.log(rank) for rank in range(count))
    assert_same_model(one, several)
    for base in several.bases[1:]:
        assert not (base / "model").exists()
    channels = [json.loads((c.bases[0] / "model" / "model.json").read_text())["channels"] for c in (one, several)]
    assert channels[0] == channels[1]


def test_a_failing_file_of_another_host_is_named_on_both(cluster, tables):
    several = cluster(2)
    text = tables("regression", 60).to_csv(index=False)
    several.file("train", "0.csv", text, [0], S3DistributionType="ShardedByS3Key")
    several.file("train", "1.csv", text + "1,2\n", [1])
    several.start(FAST)
    assert several.wait() == [1, 1]
    for rank in range(2):
        assert several.failure(rank).startswith("train/1.csv line 62 has 2 fields")


@pytest.mark.contract("TRAIN-75", "TRAIN-77")
@pytest.mark.parametrize("stage", ["XGBoost", "CatBoost"])
@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_host_ends_the_others_with_its_name(cluster, tables, stage, lost):
    several = cluster(3)
    several.file("train", "0.csv", tables("regression", 3000).to_csv(index=False), [0, 1, 2])
    long = {"num_round": "100000", "early_stopping_rounds": "0", "k_fold": "2", "label": "y"}
    if stage == "XGBoost":
        several.start({**long, "models": "xgboost", "eta": "0.001"})
        several.until(0, "2-fold cross-validation")
        time.sleep(4)
    else:
        several.start({**long, "models": "catboost"})
        several.until(0, "2-fold cross-validation")
    several.signal(lost, signal.SIGKILL)
    codes = several.wait()
    for rank, code in enumerate(codes):
        if rank != lost:
            assert code == 1
            assert several.failure(rank).startswith(f"Host {several.hosts[lost]} was lost"), several.log(rank)
