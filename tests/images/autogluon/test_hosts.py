"""Several hosts of one job: folds of bagging on all of them, or a word to each about what becomes of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.images.built import built
from toolkit.building import images
from toolkit.jobs.job import Channel, JobResult, TrainingJob, execute, plan
from toolkit.machine.containers import Container
from toolkit.serving.endpoint import Endpoint

MODELS = {"GBM": {"num_boost_round": 20}, "XGB": {"n_estimators": 20}}
# So many that the job can be disturbed after its first one.
MANY = {"hyperparameters": json.dumps({"GBM": [{"num_boost_round": 3000}] * 20})}
FIRST_MODEL = "validation-LightGBM"
BAGS = {
    "hyperparameters": json.dumps(MODELS),
    "num_bag_folds": "2",
    "num_cpus": "2",
    "label": "label",
    "feature_importance": "false",
}

Train = Callable[..., JobResult]


@pytest.fixture(scope="session")
def full_image(our_image: images.Image) -> images.Image:
    """autogluon-full-cpu, which holds Ray; not built where no image of AutoGluon is tested."""
    return built("autogluon-full-cpu")


@pytest.fixture
def train(tmp_path: Path) -> Train:
    """Run a job on a small table."""
    table = tmp_path / "train.csv"
    rows = (f"{n},{n % 7},{3 * n + n % 7}" for n in range(200))
    table.write_text("\n".join(["a,b,label", *rows]) + "\n")

    def run(image: images.Image, hosts: int, changes: dict[str, str], **arguments: Any) -> JobResult:
        job = TrainingJob(
            image.reference,
            (Channel("train", table, "text/csv"),),
            name=f"{hosts}-hosts",
            hosts=hosts,
            hyperparameters={**BAGS, **changes},
            jobs_dir=tmp_path / "jobs",
        )
        return execute(plan(job), **arguments)

    return run


def metrics(result: JobResult) -> dict[str, Any]:
    return json.loads((result.host_dir / "model" / "metrics.json").read_text())


@pytest.mark.contract("TRAIN-44", "TRAIN-74")
def test_three_hosts_fit_the_folds_of_one_model_and_it_is_that_of_one_host(full_image, train):
    # Six CPUs for two folds would be three for each, which no host has.
    alone, together = train(full_image, 1, {}), train(full_image, 3, {})
    assert alone.status == "Completed", alone.log.read_text()
    assert together.status == "Completed", together.log.read_text()
    said = re.search(r"Folds fitted: (.+)\.", together.log.read_text())
    assert said is not None
    fitted = {host: int(count) for count, host in re.findall(r"(\d+) on (algo-\d)", said[1])}
    assert sum(fitted.values()) == len(MODELS) * 2
    assert fitted["algo-1"] < len(MODELS) * 2
    assert metrics(together)["validation"] == pytest.approx(metrics(alone)["validation"], rel=1e-6)


@pytest.mark.contract("HOST-02", "HOST-40")
def test_the_image_with_ray_serves_what_it_trained(full_image, train):
    # Ray brings a command `serve` of its own.
    result = train(full_image, 1, {})
    assert result.model is not None, result.log.read_text()
    with Endpoint(full_image.reference, result.model) as endpoint:
        answer = endpoint.invoke(b"10,3\n", "text/csv", "text/csv")
    assert answer.status == 200, answer.text
    assert 0 < float(answer.text) < 300, "33 by the rule of the rows, of labels up to 600"


class Remembered:
    """The containers of a job by their hosts, as they start."""

    def __init__(self) -> None:
        self.containers: dict[str, Container] = {}

    @contextmanager
    def __call__(self, host: str, container: Container) -> Iterator[None]:
        self.containers[host] = container
        yield


@pytest.mark.contract("TRAIN-75")
def test_a_host_that_is_lost_ends_the_job_with_its_name(full_image, train):
    remembered = Remembered()
    containers = remembered.containers

    def kill_later(line: str) -> None:
        if FIRST_MODEL in line and "algo-2" in containers:
            containers.pop("algo-2").kill()

    result = train(full_image, 2, MANY, on_line=kill_later, watch=remembered)
    assert "algo-2" not in containers, "it was never killed"
    assert result.status == "Failed"
    failure = (result.host_dirs["algo-1"] / "output" / "failure").read_text()
    assert failure.startswith("Host algo-2 was lost")


@pytest.mark.contract("TRAIN-94", "TRAIN-95")
@pytest.mark.parametrize("hosts", [1, 2])
def test_a_stop_of_all_hosts_leaves_what_is_whole(full_image, train, hosts):
    remembered = Remembered()
    containers = remembered.containers

    def stop_later(line: str) -> None:
        if FIRST_MODEL in line:
            for host in sorted(containers, reverse=True):  # the first one last
                Thread(target=containers.pop(host).stop, args=(120.0,)).start()

    result = train(full_image, hosts, MANY, on_line=stop_later, watch=remembered)
    assert not containers, "they were never stopped"
    log = result.log.read_text()
    assert "was lost" not in log
    assert json.loads((result.host_dir / "model" / "model.json").read_text())["stopped"], log


@pytest.mark.contract("TRAIN-74")
def test_where_one_host_does_all_each_says_what_becomes_of_it(our_image, train):
    result = train(our_image, 2, {"num_bag_folds": "0"})
    assert result.status == "Completed", result.log.read_text()
    log = result.log.read_text()
    assert "This one, algo-1, fits the whole model." in log
    assert "This one, algo-2, has nothing to do and ends." in log
    assert "num_bag_folds" in log
