"""The login to ECR of a build: a command of its buildspec, whose password never is an argument (CB-31)."""

from __future__ import annotations

import shlex

from toolkit.aws.regions import Partition


def host_of(account: str, region: str, partition: Partition) -> str:
    """The host of an account's ECR (CB-13)."""
    return f"{account}.dkr.ecr.{region}.{partition.domain}"


def command(host: str) -> str:
    """Logs docker in to a host of ECR, with the AWS command line that CodeBuild's images have."""
    region = host.split(".")[3]
    return (
        f"aws ecr get-login-password --region {shlex.quote(region)}"
        f" | docker login --username AWS --password-stdin {shlex.quote(host)}"
    )
