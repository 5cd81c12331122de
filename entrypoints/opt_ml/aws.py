"""What a container needs of AWS: its source from S3, and the index of a CodeArtifact repository.

boto3 is imported only here and only when asked: most jobs need none of it, and it takes half a second.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from opt_ml.errors import UserError

# Without a network each attempt must fail soon: a job is paid for while it waits (TRAIN-24).
_CONNECT_TIMEOUT = 10  # seconds
_ATTEMPTS = 3
_REPOSITORY = re.compile(
    r"arn:[^:]+:codeartifact:(?P<region>[^:]+):(?P<owner>[^:]+):repository/(?P<domain>[^/]+)/(?P<repository>.+)"
)


def download(location: str, target: Path) -> None:
    """Copy the S3 object `location` (s3://bucket/key) to the file `target`.

    The endpoint is AWS_ENDPOINT_URL_S3 or S3_ENDPOINT_URL where one is set (LOCAL-07).

    Raises:
        UserError: boto3, credentials, the network, the bucket or the object is missing.
    """
    bucket, _, key = location.removeprefix("s3://").partition("/")
    if not bucket or not key:
        raise UserError(
            f"{location} names no object. Write s3://BUCKET/KEY, such as s3://mine/sourcedir.tar.gz."
        )
    client = _client("s3", _region(), os.environ.get("S3_ENDPOINT_URL"), f"to read {location}")
    with _Explained(f"{location} cannot be read"):
        body = client.get_object(Bucket=bucket, Key=key)["Body"]
        with target.open("wb") as file:
            for chunk in body.iter_chunks(1 << 20):
                file.write(chunk)


def codeartifact_index(repository_arn: str) -> str:
    """The address of a CodeArtifact repository as a pip index, with a token in it (TT-15).

    Raises:
        UserError: the name is no ARN of a repository, or AWS refuses.
    """
    found = _REPOSITORY.fullmatch(repository_arn)
    if not found:
        raise UserError(
            f"CA_REPOSITORY_ARN {repository_arn!r} is not "
            "arn:PARTITION:codeartifact:REGION:ACCOUNT:repository/DOMAIN/REPOSITORY."
        )
    domain = {"domain": found["domain"], "domainOwner": found["owner"]}
    client = _client("codeartifact", found["region"], None, "for CA_REPOSITORY_ARN")
    with _Explained(f"CodeArtifact repository {repository_arn} cannot be used"):
        token = client.get_authorization_token(**domain)["authorizationToken"]
        endpoint = client.get_repository_endpoint(**domain, repository=found["repository"], format="pypi")
    scheme, _, rest = str(endpoint["repositoryEndpoint"]).partition("://")
    return f"{scheme}://aws:{token}@{rest.rstrip('/')}/simple/"


def _client(service: str, region: str | None, endpoint: str | None, purpose: str) -> Any:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise UserError(f"This image has no boto3, which is needed {purpose}. Install boto3 in it.") from None
    config = Config(
        connect_timeout=_CONNECT_TIMEOUT, retries={"mode": "standard", "total_max_attempts": _ATTEMPTS}
    )
    try:
        return boto3.session.Session().client(
            service, region_name=region, endpoint_url=endpoint, config=config
        )
    except (BotoCoreError, ValueError) as error:  # a profile that is missing, an endpoint that is no address
        raise UserError(f"AWS cannot be used {purpose}: {error}") from None


def _region() -> str | None:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None


class _Explained:
    """Errors of AWS inside the block become one line with a cure."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, ClientError):
            facts = error.response.get("Error", {})
            status = f"{facts.get('Code', '')} {facts.get('Message', '')}".strip()
            raise UserError(f"{self._what}: {status}. Check the address and the job's role.") from None
        if isinstance(error, BotoCoreError):
            raise UserError(f"{self._what}: {_first_line(error)}. {_cure(error)}") from None


def _cure(error: BaseException) -> str:
    name = type(error).__name__
    if "Credentials" in name or "Token" in name:
        return (
            "Give the job a role; a container run by hand needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    return "A job with network isolation can reach nothing: bring the code in the image or in a channel."


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
