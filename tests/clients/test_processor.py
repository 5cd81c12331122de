"""The same image in a processing job of SDK 2 in local mode: no `train`, no `serve`, its own paths."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clients.sdk import Sdk

SCRIPT = """
import json, pathlib, sys, pandas, xgboost
config = json.loads(pathlib.Path("/opt/ml/config/processingjobconfig.json").read_text())
hosts = json.loads(pathlib.Path("/opt/ml/config/resourceconfig.json").read_text())["hosts"]
table = pandas.read_csv("/opt/ml/processing/input/data.csv", header=None)
seen = {"rows": len(table), "hosts": len(hosts), "arguments": sys.argv[1:], "job": config["ProcessingJobName"]}
pathlib.Path("/opt/ml/processing/output/seen.json").write_text(json.dumps(seen))
"""


@pytest.mark.contract("TRAIN-130", "TRAIN-131")
def test_a_processing_job_runs_python_with_the_packages_of_the_image(
    sdk_v2: Sdk, image: str, train_channel: Path, tmp_path: Path
) -> None:
    root, out = tmp_path / "root", tmp_path / "out"
    root.mkdir()
    out.mkdir()
    request = {
        "config": {"container_root": str(root)},
        "processor": {"image_uri": image, "entrypoint": ["python3", "-c", SCRIPT, "an argument"]},
        "input": str(train_channel),
        "output": str(out),
    }
    outcome = sdk_v2.run("processor.py", request)
    assert outcome.exit_code == 0, outcome.log
    seen = json.loads((out / "seen.json").read_text())
    job = seen.pop("job")
    assert job
    assert seen == {"rows": 80, "hosts": 1, "arguments": ["an argument"]}
