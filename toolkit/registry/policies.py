"""What ECR is told of a repository: when images expire, and who may pull. Pure data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

UNTAGGED_DAYS = 30
ACCOUNTS_STATEMENT = "OptMlPullAccounts"
SAGEMAKER_STATEMENT = "OptMlPullSageMaker"
PULL_ACTIONS = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


def make_lifecycle() -> str:
    """The lifecycle policy of a new repository, as JSON.

    Only images without a tag expire, and late. An image with a tag may be what an endpoint pulls when it
    scales out. The images of an index have no tags; ECR keeps them as long as the index is there.
    """
    selection = {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": UNTAGGED_DAYS,
    }
    rule = {
        "rulePriority": 1,
        "description": f"Images without a tag go after {UNTAGGED_DAYS} days.",
        "selection": selection,
        "action": {"type": "expire"},
    }
    return json.dumps({"rules": [rule]})


def add_pull(
    policy: Mapping[str, Any] | None, partition: str, accounts: Sequence[str], with_sagemaker: bool
) -> dict[str, Any]:
    """A repository policy that lets others pull, beside what it said before.

    Args:
        policy: what the repository has, or None.
        partition: the second word of ARNs.
        accounts: that may pull, beside those that may already.
        with_sagemaker: SageMaker itself may pull, as model packages for other accounts need it.
    """
    old = list((policy or {}).get("Statement", []))
    principals = {f"arn:{partition}:iam::{account}:root" for account in accounts}
    for statement in old:
        if statement.get("Sid") == ACCOUNTS_STATEMENT:
            before = statement["Principal"]["AWS"]
            principals |= {before} if isinstance(before, str) else set(before)
    new = []
    if principals:
        new.append(_statement(ACCOUNTS_STATEMENT, {"AWS": sorted(principals)}))
    if with_sagemaker or any(statement.get("Sid") == SAGEMAKER_STATEMENT for statement in old):
        new.append(_statement(SAGEMAKER_STATEMENT, {"Service": "sagemaker.amazonaws.com"}))
    ours = {ACCOUNTS_STATEMENT, SAGEMAKER_STATEMENT}
    kept = [statement for statement in old if statement.get("Sid") not in ours]
    return {"Version": (policy or {}).get("Version", "2012-10-17"), "Statement": [*kept, *new]}


def _statement(sid: str, principal: Mapping[str, Any]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Principal": principal, "Action": list(PULL_ACTIONS)}
