"""The programs that `build.py estimator` prints, run by the SageMaker SDKs against moto's SageMaker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from toolkit import cli
from toolkit.registry import shipment
from toolkit.registry.shipment import Shipped

REGION = "eu-west-1"
IMAGE_URI = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/sagemaker/a-model:20261121-0123456-0123456789ab"
AMI = "al2023-ami-sagemaker-inference-gpu-4-1"
ROLE = "arn:aws:iam::123456789012:role/execution"


@pytest.fixture
def pushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an image that has been pushed to two regions, and needs a host with a new CUDA."""
    monkeypatch.setattr(shipment, "RECORDS", str(tmp_path))
    there = Shipped("a-model", REGION, IMAGE_URI, f"{IMAGE_URI}@sha256:0", ("a",), 1.0, 1.0, AMI)
    china = IMAGE_URI.replace(REGION, "cn-north-1").replace("amazonaws.com", "amazonaws.com.cn")
    other = {**asdict(there), "region": "cn-north-1", "image_uri": china, "inference_ami": None}
    shipment.write_record(tmp_path, "a-model", [there, Shipped(**other)])
    return "a-model"


@pytest.fixture
def sagemaker() -> Iterator[str]:
    """The address of moto's SageMaker, S3 and STS."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield "http://{}:{}".format(*server.get_host_and_port())
    finally:
        server.stop()


def program(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["estimator", *arguments]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("version", [2, 3])
def test_placeholders_and_the_host_of_a_cuda_image_are_in_the_program(pushed, version, capsys):
    text = program(capsys, pushed, "--sdk", str(version))
    compile(text, "program.py", "exec")
    assert text.splitlines()[0].endswith("in the place of YOUR-SAGEMAKER-ROLE and YOUR-BUCKET.")
    assert 'role="arn:aws:iam::123456789012:role/YOUR-SAGEMAKER-ROLE"' in text.replace("ROLE = ", "role=")
    assert f'inference_ami_version="{AMI}"' in text
    assert "ml.g5.xlarge" in text
    china = program(capsys, pushed, "--sdk", str(version), "--region", "cn-north-1")
    assert "arn:aws-cn:iam::" in china
    assert 'region_name="cn-north-1"' in china
    assert "inference_ami_version" not in china


def test_an_image_that_was_not_pushed_there_says_how(pushed, capsys):
    for arguments, cure in (
        (["another"], "./build.py push another"),
        ([pushed, "--region", "us-east-1"], "./build.py push a-model --region us-east-1"),
    ):
        assert cli.main(["estimator", *arguments]) == 2
        assert capsys.readouterr().err.splitlines()[1].strip() == cure
