"""SDK 2's Model in local mode deploys our image, and its predictors and boto3's call are answered."""

from __future__ import annotations

import io
import socket
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.clients.artifacts import S3, SCRIPTS
from tests.conformance.endpoints import HANDLERS
from tests.sdks import Outcome, Sdk

Deploy = Callable[..., Outcome]
TABLE = [[1.0, 2.0], [3.0, 4.0]]
DOUBLED = [[2.0, 4.0], [6.0, 8.0]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def archive(tmp_path: Path) -> Callable[..., str]:
    """Makes a model.tar.gz of files, path -> content; its file:// address."""

    def make(files: dict[str, str]) -> str:
        path = tmp_path / "archive" / "model.tar.gz"
        path.parent.mkdir()
        with tarfile.open(path, "w:gz") as tar:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content.encode())
                tar.addfile(member, io.BytesIO(content.encode()))
        return f"file://{path}"

    return make


@pytest.fixture
def deploy(sdk_v2: Sdk, image: str, tmp_path: Path) -> Deploy:
    """Deploy and call; keyword arguments are the model's."""
    root = tmp_path / "root"
    root.mkdir()

    def run(
        predict: list[Any], calls: list[Any], environment: Mapping[str, str] | None = None, **model: Any
    ) -> Outcome:
        config = {"local_code": True, "container_root": str(root), "serving_port": free_port()}
        request = {
            "config": config,
            "model": {"image_uri": image, **model},
            "predict": predict,
            "calls": calls,
        }
        return sdk_v2.run(SCRIPTS / "endpoint.py", request, **(environment or {}))

    return run


def values(outcome: Outcome, kind: str) -> list[Any]:
    assert outcome.exit_code == 0, outcome.log
    failed = [one["error"] for one in outcome.result[kind] if "error" in one]
    assert failed == [], outcome.log
    return [one["value"] for one in outcome.result[kind]]


@pytest.mark.contract("HOST-53", "HOST-56", "HANDLER-08", "LOCAL-10")
def test_predictors_of_each_kind_and_boto3_are_answered(deploy: Deploy, archive: Callable[..., str]) -> None:
    outcome = deploy(
        predict=[
            {"serializer": "CSVSerializer", "deserializer": "CSVDeserializer", "data": TABLE},
            {"serializer": "JSONSerializer", "deserializer": "JSONDeserializer", "data": TABLE},
            {
                "serializer": "NumpySerializer",
                "deserializer": "NumpyDeserializer",
                "data": TABLE,
                "array": True,
            },
            {"serializer": "JSONLinesSerializer", "deserializer": "JSONLinesDeserializer", "data": TABLE},
        ],
        calls=[
            {"body": "1,2\n", "content_type": "text/csv", "accept": "application/json"},
            {"body": "[[1, 2]]", "content_type": "application/json"},
        ],
        model_data=archive({"code/inference.py": (HANDLERS / "default_steps.py").read_text()}),
    )
    csv, json, npy, lines = values(outcome, "predictions")
    assert [[float(field) for field in row] for row in csv] == DOUBLED
    assert json == npy == lines == DOUBLED
    named, unnamed = values(outcome, "calls")
    assert named["body"] == unnamed["body"] == "[[2.0,4.0]]"


@pytest.mark.contract("HOST-54", "HOST-55")
def test_what_the_client_did_wrong_is_explained_to_it(deploy: Deploy, archive: Callable[..., str]) -> None:
    outcome = deploy(
        predict=[],
        calls=[
            {"body": "1,2\n3\n", "content_type": "text/csv"},
            {"body": "1", "content_type": "application/x-unknown"},
            {"body": "[[1, 2]]", "content_type": "application/json"},
        ],
        model_data=archive({"code/inference.py": (HANDLERS / "default_steps.py").read_text()}),
    )
    assert outcome.exit_code == 0, outcome.log
    ragged, unknown, good = outcome.result["calls"]
    # The local session of SDK 2 hands on the body of an error as it would that of an answer.
    assert "Row 2 has 1 fields, but 2 are expected" in str(ragged)
    assert "application/x-unknown" in str(unknown)
    assert good["value"]["body"] == "[[2.0,4.0]]"


@pytest.mark.contract("HANDLER-01", "LOCAL-04", "HOST-09")
@pytest.mark.parametrize("is_packed", [True, False], ids=["in-the-archive", "mounted"])
def test_the_source_of_a_model_is_found_where_the_sdk_puts_it(
    deploy: Deploy, archive: Callable[..., str], tmp_path: Path, s3: S3, is_packed: bool
) -> None:
    source = tmp_path / "source-of-model"
    source.mkdir()
    (source / "serving.py").write_text((HANDLERS / "default_steps.py").read_text())
    packed = {"entry_point": "serving.py", "source_dir": str(source)}
    mounted = {"env": {"SAGEMAKER_PROGRAM": "serving.py", "SAGEMAKER_SUBMIT_DIRECTORY": f"file://{source}"}}
    outcome = deploy(
        predict=[],
        calls=[{"body": "[[1, 2]]", "content_type": "application/json"}],
        environment={"AWS_ENDPOINT_URL": s3.address},
        model_data=archive({"weights.txt": "none"}),
        **(packed if is_packed else mounted),
    )
    assert values(outcome, "calls")[0]["body"] == "[[2.0,4.0]]"
