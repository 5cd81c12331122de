"""The programs that `build.py estimator` prints, run by the SageMaker SDKs against moto's SageMaker."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.core.exceptions import AccessDeniedError
from moto.core.responses import ActionResult
from moto.iam.responses import IamResponse
from moto.sagemaker.responses import SageMakerResponse
from moto.server import ThreadedMotoServer

from tests import sdks
from tests.ecr import reset_moto
from toolkit import cli
from toolkit.registry import shipment
from toolkit.registry.estimator import BUCKET
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


def without_empty_parts(
    describe: Callable[[SageMakerResponse], ActionResult],
) -> Callable[[SageMakerResponse], ActionResult]:
    """AWS leaves out what was not given, such as a VpcConfig. moto has an empty one, which SDK 3 refuses."""

    def described(self: SageMakerResponse) -> ActionResult:
        parts: Any = describe(self).result
        return ActionResult({name: value for name, value in parts.items() if value != {}})

    return described


@pytest.fixture
def sagemaker(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of moto's SageMaker, S3 and STS, for somebody who may not ask what a role may."""

    def deny(self: IamResponse) -> None:
        raise AccessDeniedError(ROLE, "iam:SimulatePrincipalPolicy")

    monkeypatch.setattr(IamResponse, "simulate_principal_policy", deny, raising=False)
    for call in ("describe_model", "describe_endpoint_config", "describe_endpoint"):
        monkeypatch.setattr(SageMakerResponse, call, without_empty_parts(getattr(SageMakerResponse, call)))
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    reset_moto(address)
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    try:
        client(address, "iam").create_role(RoleName="execution", AssumeRolePolicyDocument=policy)
        yield address
    finally:
        server.stop()


def client(address: str, service: str) -> Any:
    names = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return boto3.client(service, region_name=REGION, endpoint_url=address, **names)


def program(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["estimator", *arguments]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.contract("IMG-13")
def test_a_program_trains_the_image_and_deploys_it(pushed, sagemaker, version, tmp_path, capsys):
    made = client(sagemaker, "sagemaker")
    script = tmp_path / "program.py"
    options = ["--sdk", str(version), "--role", ROLE, "--instance-type", "ml.g4dn.xlarge"]
    text = program(capsys, pushed, *options).replace(BUCKET, "data")
    script.write_text(text)
    outcome = sdks.find(f"v{version}", tmp_path).run(script, {}, AWS_ENDPOINT_URL=sagemaker)
    assert outcome.exit_code == 0, outcome.log[-3000:]
    (job,) = made.list_training_jobs()["TrainingJobSummaries"]
    trained = made.describe_training_job(TrainingJobName=job["TrainingJobName"])
    assert trained["AlgorithmSpecification"]["TrainingImage"] == IMAGE_URI
    assert trained["RoleArn"] == ROLE
    (model,) = made.list_models()["Models"]
    served = made.describe_model(ModelName=model["ModelName"])["PrimaryContainer"]
    assert served["Image"] == IMAGE_URI
    assert served["ModelDataUrl"] == trained["ModelArtifacts"]["S3ModelArtifacts"]
    (endpoint,) = made.list_endpoints()["Endpoints"]
    assert made.describe_endpoint(EndpointName=endpoint["EndpointName"])["EndpointStatus"] == "InService"


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
