"""CodeBuild and CloudWatch Logs on loopback, and clients that talk to them."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from botocore.config import Config

from tests.codebuild.fake_aws import REGION, FakeAws, serve


@pytest.fixture(scope="session")
def served() -> Iterator[FakeAws]:
    fake = FakeAws()
    with serve(fake):
        yield fake


@pytest.fixture
def fake(served: FakeAws) -> FakeAws:
    served.reset()
    return served


@pytest.fixture(scope="session")
def client(served: FakeAws):
    """Makes a boto3 client of one of the two services."""

    def make(service: str):
        return boto3.client(
            service,
            endpoint_url=served.address,
            region_name=REGION,
            aws_access_key_id="none",
            aws_secret_access_key="none",
            config=Config(retries={"total_max_attempts": 1}),
        )

    return make
