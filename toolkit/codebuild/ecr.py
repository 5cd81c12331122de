"""The ECR that a build pushes to, as its buildspec names it."""

from __future__ import annotations

import shlex

from toolkit.aws.errors import explained
from toolkit.aws.regions import Partition
from toolkit.aws.session import Session


def host_of(account: str, region: str, partition: Partition) -> str:
    """The host of an account's ECR (CB-13)."""
    return f"{account}.dkr.ecr.{region}.{partition.domain}"


def login(host: str) -> str:
    """The command that logs docker in, with the AWS command line of CodeBuild's images.

    The password goes through a pipe and is never an argument (CB-31).
    """
    region = host.split(".")[3]
    return (
        f"aws ecr get-login-password --region {shlex.quote(region)}"
        f" | docker login --username AWS --password-stdin {shlex.quote(host)}"
    )


def ensure_repository(session: Session, name: str) -> bool:
    """Make the repository exist, with tags that move; True where it was made now (CB-06).

    Raises:
        ToolkitError: a permission is missing, or that is no name of a repository.
    """
    client = session.client("ecr")
    with explained(client):
        try:
            client.describe_repositories(repositoryNames=[name])
            return False
        except client.exceptions.RepositoryNotFoundException:
            client.create_repository(repositoryName=name, imageScanningConfiguration={"scanOnPush": True})
            return True
