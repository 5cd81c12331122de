"""Amazon ECR of one account and region: its repositories, made as they should be, and a fresh login."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from toolkit.aws.errors import explained
from toolkit.aws.regions import partition_of, regions_of
from toolkit.aws.session import Session
from toolkit.errors import ToolkitError
from toolkit.registry.client import Registry
from toolkit.registry.credentials import Credentials
from toolkit.registry.policies import UNTAGGED_DAYS, add_pull, make_lifecycle
from toolkit.registry.push import Report, Target


@dataclass(frozen=True)
class Repository:
    """A repository of ECR.

    Attributes:
        host: of its registry, as ECR tells it.
        name: without the host.
        mutability: MUTABLE, IMMUTABLE, or one of them `_WITH_EXCLUSION`.
        exclusions: patterns of the tags for which the opposite holds.
        notes: what was done to it, one line each.
    """

    host: str
    name: str
    mutability: str
    exclusions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def is_fixed(self, tag: str) -> bool:
        """True where a tag, once given, stays with its image."""
        excluded = any(fnmatchcase(tag, pattern) for pattern in self.exclusions)
        return self.mutability.startswith("IMMUTABLE") is not excluded


@dataclass(frozen=True)
class Wishes:
    """How a repository is to be.

    Attributes:
        moving_tags: that may be overwritten in a new repository; no other may.
        kms_key: that encrypts a new repository, in the place of ECR's own.
        accounts: that may pull.
        with_sagemaker: SageMaker itself may pull.
    """

    moving_tags: tuple[str, ...] = ()
    kms_key: str | None = None
    accounts: tuple[str, ...] = ()
    with_sagemaker: bool = False


class Ecr:
    """The private registry of an account in a region.

    Args:
        session: whose credentials are used.
        region: where.
        account: whose registry; None for the caller's.
    """

    def __init__(self, session: Session, region: str, account: str | None = None) -> None:
        self.region = region
        self._client = session.client("ecr", region)
        self._registry = {"registryId": account} if account else {}

    def log_in(self) -> Credentials:
        """A fresh login, which holds for twelve hours.

        Raises:
            ToolkitError: AWS refuses it, or was not reached.
        """
        with explained(self._client):
            answer = self._client.get_authorization_token()
        token = base64.b64decode(answer["authorizationData"][0]["authorizationToken"]).decode()
        username, _, password = token.partition(":")
        return Credentials(username, password)

    def ensure(self, name: str, wishes: Wishes) -> Repository:
        """The repository `name`, made where there is none.

        One that is there keeps its settings; who may pull is added to its policy.

        Raises:
            ToolkitError: AWS refuses, or was not reached.
        """
        found = self._find(name)
        notes: list[str] = []
        if found is None:
            found = self._create(name, wishes)
            notes = [f"made, with scan on push; {self._let_expire(name)}"]
        if wishes.accounts or wishes.with_sagemaker:
            notes += self._let_pull(name, wishes.accounts, wishes.with_sagemaker)
        return Repository(
            host=found["repositoryUri"].removesuffix(f"/{name}"),
            name=name,
            mutability=found.get("imageTagMutability", "MUTABLE"),
            exclusions=tuple(one["filter"] for one in found.get("imageTagMutabilityExclusionFilters", [])),
            notes=tuple(notes),
        )

    def _find(self, name: str) -> dict[str, Any] | None:
        with explained(self._client):
            try:
                answer = self._client.describe_repositories(repositoryNames=[name], **self._registry)
            except self._client.exceptions.RepositoryNotFoundException:
                return None
        found: list[dict[str, Any]] = answer["repositories"]
        return found[0] if found else None

    def _create(self, name: str, wishes: Wishes) -> dict[str, Any]:
        if self._registry:
            account = self._registry["registryId"]
            raise ToolkitError(
                f"account {account} has no repository {name} in {self.region}, and only it can make one.",
                f"With its credentials: aws ecr create-repository --repository-name {name}, and "
                "set-repository-policy with what `./build.py iam repository` prints.",
            )
        settings: dict[str, Any] = {"imageTagMutability": "IMMUTABLE"}
        if wishes.moving_tags:
            settings["imageTagMutability"] = "IMMUTABLE_WITH_EXCLUSION"
            settings["imageTagMutabilityExclusionFilters"] = [
                {"filterType": "WILDCARD", "filter": tag} for tag in wishes.moving_tags
            ]
        if wishes.kms_key:
            settings["encryptionConfiguration"] = {"encryptionType": "KMS", "kmsKey": wishes.kms_key}
        with explained(self._client):
            answer = self._client.create_repository(
                repositoryName=name, imageScanningConfiguration={"scanOnPush": True}, **settings
            )
        created: dict[str, Any] = answer["repository"]
        return created

    def _let_expire(self, name: str) -> str:
        """Give a new repository its lifecycle policy; what came of it."""
        try:
            with explained(self._client):
                self._client.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=make_lifecycle())
        except ToolkitError as error:
            # Whoever has AmazonSageMakerFullAccess may make repositories, and not this.
            return f"without a lifecycle policy: {error.message}"
        return f"images without a tag go after {UNTAGGED_DAYS} days"

    def _let_pull(self, name: str, accounts: Sequence[str], with_sagemaker: bool) -> list[str]:
        with explained(self._client):
            try:
                answer = self._client.get_repository_policy(repositoryName=name, **self._registry)
                before = json.loads(answer["policyText"])
            except self._client.exceptions.RepositoryPolicyNotFoundException:
                before = None
            after = add_pull(before, partition_of(self.region).name, accounts, with_sagemaker)
            if after == before:
                return []
            self._client.set_repository_policy(
                repositoryName=name, policyText=json.dumps(after), **self._registry
            )
        who = [*(f"account {account}" for account in accounts), *(["SageMaker"] if with_sagemaker else [])]
        return [f"{', '.join(who)} may pull"]


def enabled_regions(session: Session) -> list[str]:
    """The regions of the session's partition that the account has enabled, and that have SageMaker.

    Raises:
        ToolkitError: AWS refuses (ec2:DescribeRegions), or was not reached.
    """
    client = session.client("ec2")
    with explained(client):
        enabled = {one["RegionName"] for one in client.describe_regions()["Regions"]}
    both = set(regions_of("ecr", session.partition.name)) & set(
        regions_of("sagemaker", session.partition.name)
    )
    return sorted(enabled & both)


class EcrRegistry:
    """ECR in one region.

    Args:
        ecr: of the region.
        wishes: for its repositories.
    """

    def __init__(self, ecr: Ecr, wishes: Wishes) -> None:
        self.region = ecr.region
        self._ecr = ecr
        self._wishes = wishes

    def prepare(self, repository: str, wanted: Sequence[str], report: Report) -> Target:
        """See `shipment.Destination`.

        Raises:
            ToolkitError: AWS refuses, or was not reached.
        """
        found = self._ecr.ensure(repository, self._wishes)
        for note in found.notes:
            report(f"{found.host}/{repository}: {note}")
        stuck = [tag for tag in wanted if tag in self._wishes.moving_tags and found.is_fixed(tag)]
        if stuck:
            report(f"{found.host}/{repository}: no tag moves there, so it gets no {', '.join(stuck)}")
        return Target(
            Registry(found.host, self._ecr.log_in),
            repository,
            tuple(tag for tag in wanted if tag not in stuck),
            frozenset(tag for tag in wanted if found.is_fixed(tag)),
        )
