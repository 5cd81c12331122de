"""The same image in a processing job of SDK 2 in local mode: no `train`, no `serve`, its own paths."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clients.artifacts import S3, SCRIPTS
from tests.sdks import Sdk

SCRIPT = """
import json, pathlib, sys, pandas, xgboost
config = json.loads(pathlib.Path("/opt/ml/config/processingjobconfig.json").read_text())
hosts = json.loads(pathlib.Path("/opt/ml/config/resourceconfig.json").read_text())["hosts"]
table = pandas.read_csv("/opt/ml/processing/input/data.csv", header=None)
seen = {"rows": len(table), "hosts": len(hosts), "arguments": sys.argv[1:]}
assert config["ProcessingJobName"]
pathlib.Path("/opt/ml/processing/output/seen.json").write_text(json.dumps(seen))
"""


@pytest.mark.contract("TRAIN-130", "TRAIN-131")
def test_a_processing_job_runs_python_with_the_packages_of_the_image(
    sdk_v2: Sdk, image: str, train_channel: Path, tmp_path: Path, s3: S3
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    request = {
        "config": {"local_code": True, "container_root": str(root)},
        "processor": {"image_uri": image, "entrypoint": ["python3", "-c", SCRIPT, "an argument"]},
        "input": str(train_channel),
        "output": "s3://default-bucket/out",
    }
    outcome = sdk_v2.run(SCRIPTS / "processor.py", request, AWS_ENDPOINT_URL=s3.address)
    assert outcome.exit_code == 0, outcome.log
    seen = json.loads(s3.read("s3://default-bucket/out/seen.json"))
    assert seen == {"rows": 80, "hosts": 1, "arguments": ["an argument"]}
