"""The role that builds have: by name or by ARN."""

from __future__ import annotations

# What the CloudFormation template makes.
DEFAULT_NAME = "opt-ml-codebuild"


def arn(partition: str, account: str, role: str) -> str:
    """The ARN of a role by its name (`PATH/NAME` where it has a path), or as it is."""
    return role if role.startswith("arn:") else f"arn:{partition}:iam::{account}:role/{role}"
