"""An endpoint with the runtime API in front for one test, and boto3 as its client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError

from toolkit.hosting.local_endpoint import EndpointConfig, LocalEndpoint


@contextmanager
def running(config: EndpointConfig) -> Iterator[tuple[LocalEndpoint, list[str]]]:
    """The endpoint of this configuration, and the lines that it says."""
    said: list[str] = []
    with LocalEndpoint(config, said.append) as endpoint:
        yield endpoint, said


def boto(endpoint: LocalEndpoint) -> BaseClient:
    """A runtime client of the endpoint that asks once."""
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=endpoint.url,
        region_name="us-east-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",
        config=Config(retries={"max_attempts": 0}),
    )


def error_of(call: Callable[[], Any]) -> dict[str, Any]:
    """The response that the call fails with."""
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response
