"""Programs of the SageMaker Python SDK for a pushed image, ready but for a role and a bucket."""

from __future__ import annotations

from dataclasses import dataclass

ROLE_NAME = "YOUR-SAGEMAKER-ROLE"
BUCKET = "YOUR-BUCKET"

_HEAD = """\
# SageMaker Python SDK {sdk}. Put your own in the place of {placeholders}.
"""

_SDK_2 = """\
import boto3
from sagemaker import Session
from sagemaker.estimator import Estimator

estimator = Estimator(
    image_uri="{image_uri}",
    role="{role}",
    instance_count=1,
    instance_type="{instance_type}",
    output_path="s3://{bucket}/models",
    hyperparameters={{}},
    sagemaker_session=Session(boto3.Session(region_name="{region}")),
)
estimator.fit({{"train": "s3://{bucket}/train"}})

predictor = estimator.create_model().deploy(
    initial_instance_count=1,
    instance_type="{instance_type}",{inference_ami}
)
"""

_SDK_3 = """\
import boto3
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.core.shapes import ContainerDefinition, ProductionVariant
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, OutputDataConfig

IMAGE_URI = "{image_uri}"
ROLE = "{role}"
NAME = "{name}"

boto_session = boto3.Session(region_name="{region}")
trainer = ModelTrainer(
    training_image=IMAGE_URI,
    role=ROLE,
    base_job_name=NAME,
    compute=Compute(instance_type="{instance_type}", instance_count=1),
    output_data_config=OutputDataConfig(s3_output_path="s3://{bucket}/models"),
    hyperparameters={{}},
    sagemaker_session=Session(boto_session),
)
trainer.train(input_data_config=[InputData(channel_name="train", data_source="s3://{bucket}/train")])

job = trainer._latest_training_job
artifacts = job.model_artifacts.s3_model_artifacts
place = {{"session": boto_session, "region": "{region}"}}
Model.create(
    model_name=NAME,
    primary_container=ContainerDefinition(image=IMAGE_URI, model_data_url=artifacts),
    execution_role_arn=ROLE,
    **place,
)
variant = ProductionVariant(
    variant_name="AllTraffic",
    model_name=NAME,
    initial_instance_count=1,
    instance_type="{instance_type}",{inference_ami}
)
EndpointConfig.create(endpoint_config_name=NAME, production_variants=[variant], **place)
endpoint = Endpoint.create(endpoint_name=NAME, endpoint_config_name=NAME, **place)
"""

_PROGRAMS = {2: _SDK_2, 3: _SDK_3}


@dataclass(frozen=True)
class Usage:
    """What a program is made of.

    Attributes:
        image: its name, for jobs and endpoints.
        image_uri: of ECR.
        region: of it; the image, the job and the endpoint are in the same one (IMG-13).
        partition: of the region.
        instance_type: for the job and the endpoint.
        inference_ami: InferenceAmiVersion that the image's CUDA needs; None for an image without.
        role: ARN; None for a placeholder.
    """

    image: str
    image_uri: str
    region: str
    partition: str = "aws"
    instance_type: str = "ml.m5.xlarge"
    inference_ami: str | None = None
    role: str | None = None


def make_program(usage: Usage, sdk: int) -> str:
    """A Python program that trains the image and makes an endpoint of the model.

    Args:
        usage: what it is made of.
        sdk: major version of the SageMaker Python SDK, 2 or 3.
    """
    # ACCOUNT.dkr.ecr.REGION.amazonaws.com
    account = usage.image_uri[:12] if usage.image_uri[:12].isdigit() else "YOUR-ACCOUNT"
    placeholders = [BUCKET] if usage.role else [ROLE_NAME, BUCKET]
    ami = f'\n    inference_ami_version="{usage.inference_ami}",' if usage.inference_ami else ""
    return (_HEAD + _PROGRAMS[sdk]).format(
        sdk=sdk,
        placeholders=" and ".join(placeholders),
        image_uri=usage.image_uri,
        role=usage.role or f"arn:{usage.partition}:iam::{account}:role/{ROLE_NAME}",
        name=usage.image.replace("_", "-").replace(".", "-"),
        region=usage.region,
        instance_type=usage.instance_type,
        inference_ami=ami,
        bucket=BUCKET,
    )
