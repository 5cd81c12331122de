"""Who calls AWS, and where: one session, and clients made from it.

Endpoints are botocore's own business: AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_ECR lead it elsewhere.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from toolkit.aws.errors import explain, explained
from toolkit.aws.regions import Partition, check_region, partition_of
from toolkit.errors import ToolkitError
from toolkit.machine.network import find_ca_bundle

# Seconds until an address that does not answer is given up, and attempts with waits between them.
_CONFIG = Config(connect_timeout=10, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 5})


class Session:
    """The credentials of this machine's user, and a region.

    Args:
        region: None for that of AWS_REGION, AWS_DEFAULT_REGION or the profile.
        profile: of the AWS configuration; None for AWS_PROFILE or the default one.

    Raises:
        ToolkitError: no such profile or region.
    """

    def __init__(self, region: str | None = None, profile: str | None = None) -> None:
        # boto3 itself reads AWS_DEFAULT_REGION alone; CodeBuild, Lambda and the other SDKs set AWS_REGION.
        wanted = region or os.environ.get("AWS_REGION") or None
        try:
            self._session = boto3.Session(profile_name=profile, region_name=wanted)
        except BotoCoreError as error:
            raise explain(error) from None
        self._region: str | None = self._session.region_name
        if self._region:
            check_region(self._region)

    @property
    def region(self) -> str:
        """The region of the session.

        Raises:
            ToolkitError: nobody has chosen one.
        """
        if not self._region:
            raise ToolkitError("no AWS region is chosen.", "--region REGION, or AWS_REGION=REGION.")
        return self._region

    @property
    def partition(self) -> Partition:
        """The partition of the region."""
        return partition_of(self.region)

    @cached_property
    def account(self) -> str:
        """The account of the caller, twelve digits.

        Raises:
            ToolkitError: no credentials, or AWS does not accept them.
        """
        client = self.client("sts")
        with explained(client):
            return str(client.get_caller_identity()["Account"])

    def client(self, service: str, region: str | None = None) -> Any:
        """A boto3 client; wrap its calls in `toolkit.aws.errors.explained`.

        Args:
            service: such as `ecr`.
            region: None for that of the session.
        """
        bundle = find_ca_bundle()
        where = check_region(region) if region else self.region
        try:
            return self._session.client(
                service, region_name=where, config=_CONFIG, verify=str(bundle.path) if bundle else None
            )
        except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no address
            raise explain(error, service, where) from None
