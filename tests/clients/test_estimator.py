"""SDK 2's Estimator in local mode trains on our image, and the model it brings home can be deployed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.clients.artifacts import S3, SCRIPTS, free_port, members, seen_by_script
from tests.conformance.profile import Profile, table
from tests.sdks import Outcome, Sdk

Fit = Callable[..., Outcome]
HYPERPARAMETERS = {
    "epochs": 3,
    "rate": 0.5,
    "flag": True,
    "name": "a 'b' c",
    "layers": [1, 2],
    "options": {"a": 1},
    "batch-size": 64,
}
ARGUMENTS = [
    *("--batch-size", "64", "--epochs", "3", "--flag", "True", "--layers", "[1, 2]"),
    *("--name", "a 'b' c", "--options", "a=1", "--rate", "0.5"),
]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    directory = tmp_path / "out"
    directory.mkdir()
    return directory


@pytest.fixture
def fit(sdk_v2: Sdk, image: str, train_channel: Path, tmp_path: Path, out: Path) -> Fit:
    """Fit; keyword arguments are the estimator's, `config` the session's, `after` what follows the fit."""
    root = tmp_path / "root"
    root.mkdir()

    def run(
        config: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        **estimator: Any,
    ) -> Outcome:
        request = {
            "config": {"local_code": True, "container_root": str(root), **(config or {})},
            "fit": {"inputs": {"train": f"file://{train_channel}"}},
            "estimator": {
                "image_uri": image,
                "instance_count": 1,
                "output_path": f"file://{out}",
                **estimator,
            },
            **(after or {}),
        }
        return sdk_v2.run(SCRIPTS / "estimator.py", request, **(environment or {}))

    return run


def model(outcome: Outcome) -> dict[str, bytes]:
    assert outcome.exit_code == 0, outcome.log
    return members(Path(outcome.result["model_data"].removeprefix("file://")).read_bytes())


@pytest.mark.contract(
    *(
        "LOCAL-01",
        "LOCAL-03",
        "LOCAL-04",
        "LOCAL-09",
        "LOCAL-10",
        "LOCAL-11",
        "TRAIN-01",
        "TRAIN-32",
        "HOST-01",
    )
)
def test_the_built_in_algorithm_trains_is_deployed_and_transforms(
    fit: Fit, profile: Profile, tmp_path: Path
) -> None:
    rows = [row[:4] for row in table(5, seed=3)]
    answers = tmp_path / "answers"
    batch = tmp_path / "batch"
    batch.mkdir()
    (batch / "rows.csv").write_text("".join(",".join(row) + "\n" for row in rows))
    outcome = fit(
        config={"serving_port": free_port()},
        after={"deploy": rows, "transform": {"input": f"file://{batch}", "output": f"file://{answers}"}},
        hyperparameters=profile.hyperparameters,
    )
    assert "model.json" in model(outcome)
    assert profile.metric in outcome.log
    predictions = [float(line) for line in outcome.result["predictions"].split()]
    assert len(predictions) == len(rows)
    assert [float(line) for line in (answers / "rows.csv.out").read_text().split()] == predictions


@pytest.mark.contract("V3-40", "LOCAL-04", "LOCAL-05", "LOCAL-06", "LOCAL-13", "TT-20", "TT-22", "TT-31")
def test_a_local_script_gets_hyperparameters_of_each_kind(fit: Fit, source: Path) -> None:
    files = model(fit(entry_point="train.py", source_dir=str(source), hyperparameters=HYPERPARAMETERS))
    (seen,) = seen_by_script(files)
    assert seen["arguments"] == ARGUMENTS
    assert seen["channels"] == {"train": ["data.csv"]}
    assert seen["requirement"] == 7
    assert seen["directory"] == "/opt/ml/code"
    assert seen["shared_memory"] == 64 * 2**20  # Docker's own, unlike the platform's
    variables = seen["environment"]
    assert json.loads(variables["SM_HPS"]) == HYPERPARAMETERS
    assert variables["SM_CURRENT_INSTANCE_TYPE"] == "local"
    assert variables["SM_NETWORK_INTERFACE_NAME"] == "eth0"


@pytest.mark.contract("LOCAL-07", "TT-03", "TT-06")
def test_a_script_comes_through_s3(fit: Fit, source: Path, s3: S3) -> None:
    outcome = fit(
        config={"local_code": False},
        environment={"AWS_ENDPOINT_URL": s3.address},
        entry_point="train.py",
        source_dir=str(source),
        hyperparameters=HYPERPARAMETERS,
        output_path=None,
    )
    assert outcome.exit_code == 0, outcome.log
    (seen,) = seen_by_script(members(s3.read(outcome.result["model_data"])))
    assert seen["arguments"] == ARGUMENTS
    assert seen["requirement"] == 7
    assert seen["environment"]["AWS_ENDPOINT_URL_S3"] == s3.address
    assert seen["environment"]["AWS_REGION"] == "eu-west-1"


@pytest.mark.contract("LOCAL-02", "LOCAL-04", "LOCAL-14", "TRAIN-42", "TRAIN-82")
def test_two_instances_with_random_names_find_each_other(fit: Fit, source: Path) -> None:
    outcome = fit(
        config={"container_config": {"shm_size": "128M"}},
        entry_point="train.py",
        source_dir=str(source),
        instance_count=2,
    )
    first, second = seen_by_script(model(outcome))
    assert first["shared_memory"] == second["shared_memory"] == 128 * 2**20
    hosts = json.loads(first["environment"]["SM_HOSTS"])
    assert hosts == json.loads(second["environment"]["SM_HOSTS"])
    assert [host.rpartition("-")[0] for host in hosts] == ["algo-1", "algo-2"]
    assert first["addresses"] == second["addresses"]
    assert len(set(first["addresses"].values())) == 2


@pytest.mark.contract("LOCAL-02", "LOCAL-09", "TRAIN-74")
def test_the_built_in_algorithm_trains_on_two_instances(fit: Fit, profile: Profile) -> None:
    outcome = fit(hyperparameters=profile.hyperparameters, instance_count=2)
    # Local mode stops all hosts as soon as one has ended: by then the model is whole.
    assert {"model.json", "xgboost.ubj"} <= set(model(outcome))


@pytest.mark.contract("TRAIN-75", "TRAIN-76", "LOCAL-09")
def test_a_script_that_fails_ends_the_fit_and_names_the_cause(fit: Fit, source: Path, out: Path) -> None:
    outcome = fit(entry_point="train.py", source_dir=str(source), hyperparameters={"explode": True})
    assert outcome.exit_code != 0
    assert "Process exited with code: 1" in " ".join(outcome.log.split())
    failure = members((out / "output.tar.gz").read_bytes())["failure"].decode()
    assert "The learning rate must be above 0, but is -1." in failure.splitlines()[0]


@pytest.mark.contract("TRAIN-75", "TRAIN-76")
def test_a_wrong_hyperparameter_ends_the_fit_and_is_named(fit: Fit, out: Path) -> None:
    outcome = fit(hyperparameters={"nun_round": 5})
    assert outcome.exit_code != 0
    assert "nun_round" in members((out / "output.tar.gz").read_bytes())["failure"].decode().splitlines()[0]
