"""What the tests of the SDKs share: an S3, archives, ports, answers, and what the training script saw."""

from __future__ import annotations

import io
import json
import socket
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.client import BaseClient
from botocore.config import Config

from tests.sdks import REGION, Outcome

SCRIPTS = Path(__file__).parent / "scripts"

Archive = Callable[[Mapping[str, str]], str]
"""Makes a model.tar.gz of files, path -> content; its file:// address."""


@dataclass(frozen=True)
class S3:
    """An S3 that this machine and its containers reach at `address`."""

    address: str

    def read(self, uri: str) -> bytes:
        """The content of an object."""
        client = boto3.client(
            "s3",
            endpoint_url=self.address,
            region_name=REGION,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        content: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content


def runtime_client(url: str) -> BaseClient:
    """boto3's client of the runtime API at `url`, which asks once."""
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"max_attempts": 0}),
    )


def members(archive: bytes) -> dict[str, bytes]:
    """The files of a tar.gz, name to content."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = ((member, tar.extractfile(member)) for member in tar)
        return {member.name.removeprefix("./"): file.read() for member, file in files if file}


def seen_by_script(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """What `scripts/source/train.py` saw, host by host in the order of their names."""
    return [json.loads(content) for name, content in sorted(files.items()) if name.startswith("seen-")]


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def values(outcome: Outcome, kind: str) -> list[Any]:
    """What the calls of a kind returned, none of which may have failed."""
    assert outcome.exit_code == 0, outcome.log
    failed = [one["error"] for one in outcome.result[kind] if "error" in one]
    assert failed == [], outcome.log
    return [one["value"] for one in outcome.result[kind]]
