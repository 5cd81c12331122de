"""The role that builds have: by name, by ARN, or as SageMaker Studio has it."""

from __future__ import annotations

from toolkit.aws.session import Session

# What the CloudFormation template makes.
DEFAULT_NAME = "opt-ml-codebuild"


def arn_of(role: str, session: Session) -> str:
    """The ARN of a role by its name (`PATH/NAME` where it has a path), or as it is."""
    if role.startswith("arn:"):
        return role
    return f"arn:{session.partition.name}:iam::{session.account}:role/{role}"
