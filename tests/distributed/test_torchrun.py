"""torchrun on two and more hosts, really run, by the hyperparameter that the SDK sets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.differential.toolkit_image import build_on
from tests.distributed.hosts import HostResult, run_hosts
from toolkit.machine.network import find_wheelhouse
from toolkit.namespace import LOCAL_NAMESPACE

HERE = Path(__file__).parent
TORCH = {"sagemaker_torch_distributed_enabled": "true", "epochs": "30"}
pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def image() -> str:
    """ensemble-cpu with PyTorch for CPUs."""
    wheelhouse = find_wheelhouse()
    if not wheelhouse or not list(wheelhouse.glob("torch-*")):
        pytest.skip("no wheel of torch in the wheelhouse (WHEELHOUSE)")
    return build_on("ensemble-cpu", HERE, f"{LOCAL_NAMESPACE}/ensemble-cpu:torch")


def facts(result: HostResult) -> dict[str, object]:
    assert result.exit_code == 0, result.log
    told: dict[str, object] = json.loads((result.directory / "output" / "data" / "facts.json").read_text())
    return told


@pytest.mark.contract("TT-70", "TT-73", "TT-78", "TRAIN-44")
def test_hosts_train_together_with_the_rank_of_their_place_in_the_list(image: str, tmp_path: Path) -> None:
    # Sorted as text: algo-1, algo-10, algo-2.
    hosts = ["algo-1", "algo-2", "algo-10"]
    results = run_hosts(image, HERE / "ddp.py", TORCH, hosts, tmp_path)
    told = [facts(results[host]) for host in ("algo-1", "algo-10", "algo-2")]
    assert [each["rank"] for each in told] == [0, 1, 2]
    assert [each["world"] for each in told] == [3, 3, 3]
    weights = told[0]["weights"]
    assert isinstance(weights, list)
    assert len(set(weights)) == 1, "the ranks did not come to one model"
    assert all(each["weights"] == weights for each in told)


@pytest.mark.contract("TRAIN-75", "TRAIN-77", "TT-78")
def test_a_rank_that_dies_says_why_and_the_other_host_fails_too(image: str, tmp_path: Path) -> None:
    results = run_hosts(image, HERE / "ddp.py", {**TORCH, "lose": "algo-2"}, ["algo-1", "algo-2"], tmp_path)
    assert results["algo-2"].reason == "ValueError: host algo-2 has lost its data"
    assert results["algo-2"].exit_code == 1
    assert results["algo-1"].exit_code == 1
    assert "closed" in results["algo-1"].reason or "reset" in results["algo-1"].reason, results["algo-1"].log
