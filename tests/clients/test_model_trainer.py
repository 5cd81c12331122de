"""SDK 3's ModelTrainer in local mode trains on our image, with and without source code."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.clients.artifacts import SCRIPTS, members, seen_by_script
from tests.sdks import Outcome, Sdk

Train = Callable[..., tuple[Outcome, Path]]
HYPERPARAMETERS = {
    "epochs": 3,
    "rate": 0.5,
    "flag": True,
    "name": "a b",
    "layers": [1, 2],
    "options": {"a": 1},
    "batch-size": 64,
}


@pytest.fixture
def train(sdk_v3: Sdk, image: str, train_channel: Path, tmp_path: Path) -> Train:
    """Train; the outcome and the directory where local mode works."""

    def run(
        source_code: Mapping[str, Any] | None, hyperparameters: Mapping[str, Any], instances: int = 1
    ) -> tuple[Outcome, Path]:
        root = tmp_path / "root"
        root.mkdir(exist_ok=True)
        request = {
            "source_code": source_code,
            "instances": instances,
            "channels": {"train": str(train_channel)},
            "trainer": {
                "training_image": image,
                "hyperparameters": dict(hyperparameters),
                "local_container_root": str(root),
            },
        }
        return sdk_v3.run(SCRIPTS / "model_trainer.py", request), root

    return run


def model(outcome: Outcome, root: Path) -> dict[str, bytes]:
    assert outcome.exit_code == 0, outcome.log
    return members((root / "compressed_artifacts" / "model.tar.gz").read_bytes())


@pytest.mark.contract("V3-02", "LOCAL-20", "LOCAL-21", "LOCAL-23", "IMG-05")
def test_the_built_in_algorithm_trains_without_source_code(train: Train, profile: Any) -> None:
    outcome, root = train(None, profile.hyperparameters)
    assert "model.json" in model(outcome, root)
    assert profile.metric in outcome.log
    assert (root / "docker-compose.yaml").read_text().count("command") == 0


@pytest.mark.contract(
    "V3-01", "V3-03", "V3-04", "V3-06", "V3-07", "V3-10", "V3-11", "V3-15", "V3-23", "V3-30", "LOCAL-24"
)
def test_a_python_script_gets_its_hyperparameters_variables_and_requirements(
    train: Train, source: Path
) -> None:
    code = {"source_dir": str(source), "entry_script": "train.py", "requirements": "requirements.txt"}
    files = model(*train(code, HYPERPARAMETERS))
    (seen,) = seen_by_script(files)
    assert list(files) == ["seen-algo-1.json"]
    assert seen["requirement"] == 7
    assert seen["channels"]["train"] == ["data.csv"]
    assert seen["directory"] == "/opt/ml/input/data/code"
    assert seen["arguments"] == [
        *("--epochs", "3", "--rate", "0.5", "--flag", "true", "--name", "a b"),
        *("--layers", "[1, 2]", "--options", '{"a": 1}', "--batch-size", "64"),
    ]
    variables = seen["environment"]
    assert json.loads(variables["SM_HPS"]) == HYPERPARAMETERS
    assert variables["SM_CHANNEL_TRAIN"] == "/opt/ml/input/data/train"
    assert (variables["SM_CURRENT_HOST"], variables["SM_HOST_COUNT"]) == ("algo-1", "1")


@pytest.mark.contract("V3-18")
def test_a_shell_script_is_an_entry_script(train: Train, source: Path) -> None:
    code = {"source_dir": str(source), "entry_script": "run.sh"}
    (seen,) = seen_by_script(model(*train(code, {"name": "a b $HOME"})))
    assert seen["arguments"] == ["--name", "a b $HOME"]


@pytest.mark.contract("V3-17")
def test_a_command_gets_its_own_arguments_and_no_hyperparameters(train: Train, source: Path) -> None:
    code = {"source_dir": str(source), "command": "sh run.sh --first", "args": ["a b", 2]}
    (seen,) = seen_by_script(model(*train(code, {"epochs": 3})))
    assert seen["arguments"] == ["--first", "a b", "2"]
    assert json.loads(seen["environment"]["SM_HPS"]) == {"epochs": 3}


@pytest.mark.contract("LOCAL-20", "V3-28")
def test_two_instances_find_each_other(train: Train, source: Path) -> None:
    code = {"source_dir": str(source), "entry_script": "train.py"}
    first, second = seen_by_script(model(*train(code, {}, instances=2)))
    assert first["environment"]["SM_HOSTS"] == second["environment"]["SM_HOSTS"] == '["algo-1", "algo-2"]'
    assert [seen["environment"]["SM_CURRENT_HOST_RANK"] for seen in (first, second)] == ["0", "1"]
    assert first["addresses"] == second["addresses"]
    assert len(set(first["addresses"].values())) == 2


@pytest.mark.contract("V3-32", "V3-33", "LOCAL-25")
def test_a_script_that_fails_is_explained_and_does_not_hinder_the_next_one(
    train: Train, source: Path
) -> None:
    code = {"source_dir": str(source), "entry_script": "train.py"}
    outcome, root = train(code, {"explode": True})
    assert outcome.exit_code != 0
    assert "Process exited with code: 1" in " ".join(outcome.log.split())
    failure = (root / "artifacts" / "output" / "failure").read_text()
    assert failure.splitlines()[0] == "ValueError: The learning rate must be above 0, but is -1."
    model(*train(code, {}))
    assert not (root / "input").exists()
    assert not (root / "algo-1").exists()
