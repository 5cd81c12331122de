"""Facts of the PyTorch image, from outside: the example runs as written, and so do several hosts."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.images.pytorch.conftest import EXAMPLES, RunJob
from toolkit.building import images
from toolkit.jobs.job import JobResult, TrainingJob, execute, plan
from toolkit.serving.endpoint import Endpoint
from toolkit.serving.migration import MANIFEST, migrate

EXAMPLE = EXAMPLES / "digits"


@pytest.fixture
def train(our_image: images.Image, digits: Path, run_job: RunJob) -> Callable[..., JobResult]:
    """Run the example's script as a job; channel -> part of the data."""

    def run(channels: Mapping[str, str], **changes: object) -> JobResult:
        parts = {name: digits / part for name, part in channels.items()}
        return run_job(our_image, EXAMPLE / "code", "train.py", parts, **changes)

    return run


def test_the_digits_example_trains_and_serves(train, our_image, digits):
    channels = {"train": "train", "validation": "validation"}
    result = train(channels, name="digits", hyperparameters={"epochs": "8"}, isolated=True)
    assert result.metrics["validation-accuracy"] > 0.9
    pictures, labels = (np.load(digits / "held-out" / f"{name}.npy") for name in ("pictures", "labels"))
    with Endpoint(our_image.reference, result.model) as endpoint:
        body = (digits / "held-out" / "pictures.npy").read_bytes()
        answer = endpoint.invoke(body, "application/x-npy", "application/x-npy")
        assert answer.status == 200, answer.text
        as_json = endpoint.invoke(str(pictures[:2].tolist()).encode(), "application/json", "text/csv")
    probabilities = np.load(io.BytesIO(answer.body))
    assert probabilities.shape == (180, 10)
    assert (probabilities.argmax(axis=1) == labels).mean() > 0.9
    rows = [[float(field) for field in line.split(",")] for line in as_json.text.splitlines()]
    assert np.allclose(rows, probabilities[:2], atol=1e-5)


def test_a_job_without_a_script_says_how_to_name_one(our_image, tmp_path):
    result = execute(plan(TrainingJob(our_image.reference, (), name="no-script", jobs_dir=tmp_path)))
    assert result.exit_code == 1
    assert "sagemaker_program" in (result.failure_reason or "")


ARCHIVED = """
import torch
from ts.torch_handler.base_handler import BaseHandler

class Doubles(BaseHandler):
    def initialize(self, context):
        self.model, self.device = torch.nn.Identity(), "cpu"

    def preprocess(self, data):
        return torch.tensor([row["body"]["rows"] for row in data]) * 2
"""


def test_a_torchserve_archive_is_migrated_and_served(our_image, tmp_path):
    manifest = {"model": {"modelName": "doubles", "modelVersion": "1.0", "handler": "doubles.py"}}
    with zipfile.ZipFile(tmp_path / "doubles.mar", "w") as archive:
        archive.writestr(str(MANIFEST), json.dumps(manifest))
        archive.writestr("doubles.py", ARCHIVED)
    migrate(tmp_path / "doubles.mar", tmp_path / "model")
    environment = {"OPT_ML_PYTORCH_BATCH": "8"}
    with (
        Endpoint(our_image.reference, tmp_path / "model", environment=environment) as endpoint,
        ThreadPoolExecutor(8) as pool,
    ):
        bodies = [json.dumps({"rows": [number, 0.5]}).encode() for number in range(40)]
        answers = list(pool.map(lambda body: endpoint.invoke(body, "application/json"), bodies))
    assert [answer.status for answer in answers] == [200] * 40
    assert [json.loads(answer.body) for answer in answers] == [[2 * number, 1.0] for number in range(40)]
