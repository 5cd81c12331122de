"""SDK 2's Model in local mode deploys our image, and its predictors and boto3's call are answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.clients.artifacts import S3, SCRIPTS, Archive, free_port, values
from tests.conformance.endpoints import HANDLERS
from tests.sdks import Outcome, Sdk

Deploy = Callable[..., Outcome]
TABLE = [[1.0, 2.0], [3.0, 4.0]]
DOUBLED = [[2.0, 4.0], [6.0, 8.0]]
WHICH_MODEL = """
from pathlib import Path

def model_fn(model_dir):
    return sorted(path.name for path in Path(model_dir).glob("*.txt"))

def transform_fn(model, body, content_type, accept, context):
    target = context.get_request_header(0, "X-Amzn-SageMaker-Target-Model")
    return " ".join([target, "of", *model]), "text/plain"
"""


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


@pytest.mark.contract("HOST-53", "HOST-56", "HANDLER-08", "LOCAL-10")
def test_predictors_of_each_kind_and_boto3_are_answered(deploy: Deploy, archive: Archive) -> None:
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
def test_what_the_client_did_wrong_is_explained_to_it(deploy: Deploy, archive: Archive) -> None:
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
    deploy: Deploy, archive: Archive, tmp_path: Path, s3: S3, is_packed: bool
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


@pytest.mark.contract("HOST-60", "LOCAL-04")
def test_local_mode_makes_one_model_of_a_multi_data_model(
    sdk_v2: Sdk, image: str, archive: Archive, tmp_path: Path, s3: S3
) -> None:
    # Nobody loads models there: all archives are unpacked into one directory, and the name is a header.
    root = tmp_path / "root"
    root.mkdir()
    files = {"code/inference.py": WHICH_MODEL, "of-first.txt": "1"}
    request = {
        "config": {"container_root": str(root), "serving_port": free_port()},
        "bucket": "many-models",
        "model": {"image_uri": image},
        "archives": {
            "first.tar.gz": archive(files).removeprefix("file://"),
            "second.tar.gz": archive({"of-second.txt": "2"}).removeprefix("file://"),
        },
        "targets": ["first.tar.gz", "second.tar.gz"],
    }
    outcome = sdk_v2.run(SCRIPTS / "multi_data_model.py", request, AWS_ENDPOINT_URL=s3.address)
    assert outcome.exit_code == 0, outcome.log
    assert outcome.result["listed"] == ["/first.tar.gz", "/second.tar.gz"]
    assert outcome.result["answers"] == [
        f"{target} of of-first.txt of-second.txt" for target in request["targets"]
    ]
