"""SDK 3 in local mode deploys our image: its serializers, its runtime client and its transform job."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clients.artifacts import SCRIPTS, Archive, free_port, values
from tests.conformance.endpoints import HANDLERS
from tests.sdks import Sdk

TABLE = [[1.0, 2.0], [3.0, 4.0]]
DOUBLED = [[2.0, 4.0], [6.0, 8.0]]
KINDS = ("CSV", "JSON", "JSONLines", "Numpy")


@pytest.mark.contract("HOST-53", "HOST-55", "HOST-56", "HANDLER-08", "LOCAL-10", "LOCAL-11", "BATCH-13")
def test_an_endpoint_and_a_transform_job_are_answered(
    sdk_v3: Sdk, image: str, archive: Archive, tmp_path: Path
) -> None:
    for name in ("root", "batch"):
        (tmp_path / name).mkdir()
    for name in ("first", "second"):
        (tmp_path / "batch" / f"{name}.csv").write_text("1,2\n3,4\n")
    request = {
        "config": {"local_code": True, "container_root": str(tmp_path / "root"), "serving_port": free_port()},
        "container": {
            "Image": image,
            "ModelDataUrl": archive({"code/inference.py": (HANDLERS / "default_steps.py").read_text()}),
            "Environment": {},
        },
        "predict": [
            {
                "serializer": f"{kind}Serializer",
                "deserializer": f"{kind}Deserializer",
                "data": TABLE,
                "array": kind == "Numpy",
            }
            for kind in KINDS
        ],
        "calls": [
            {"Body": "1,2\n", "ContentType": "text/csv", "Accept": "application/json"},
            {"Body": "1,2\n3\n", "ContentType": "text/csv"},
            {"Body": "1", "ContentType": "application/x-unknown"},
        ],
        "transform": {
            "strategy": "MultiRecord",
            "assemble_with": "Line",
            "accept": "text/csv",
            "output_path": f"file://{tmp_path}/answers",
            # The SDK would ask AWS for the local model, to make a name of its own.
            "job": {
                "job_name": "a-job",
                "data": f"file://{tmp_path}/batch",
                "content_type": "text/csv",
                "split_type": "Line",
            },
        },
    }
    outcome = sdk_v3.run(SCRIPTS / "endpoint_v3.py", request)
    csv, *others = values(outcome, "predictions")
    assert [[float(field) for field in row] for row in csv] == DOUBLED
    assert others == [DOUBLED] * (len(KINDS) - 1)
    good, ragged, unknown = values(outcome, "calls")
    assert good == {"type": "application/json", "status": 200, "body": "[[2.0,4.0]]"}
    assert (ragged["status"], unknown["status"]) == (400, 415)
    assert "Row 2 has 1 fields, but 2 are expected" in json.loads(ragged["body"])["error"]
    for name in ("first", "second"):
        lines = (tmp_path / "answers" / f"{name}.csv.out").read_text().split()
        assert [[float(field) for field in line.split(",")] for line in lines] == DOUBLED
