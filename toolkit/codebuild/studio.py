"""SageMaker Studio: which domain and user this is, and their role, found as the SageMaker SDK finds it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.aws.errors import explained
from toolkit.aws.session import Session
from toolkit.errors import ToolkitError

METADATA = Path("/opt/ml/metadata/resource-metadata.json")


@dataclass(frozen=True)
class Studio:
    """What Studio says of itself.

    Attributes:
        domain: such as `d-abcdefghijkl`.
        user: name of the user profile; empty in a shared space.
        role: ARN of the execution role; empty where Studio does not say it.
    """

    domain: str
    user: str
    role: str


def find(metadata: Path | None = None) -> Studio | None:
    """Studio, or None on any other machine.

    Args:
        metadata: where Studio describes itself; None for its own place.
    """
    path = metadata or METADATA
    if not path.exists():
        return None
    facts = json.loads(path.read_text(encoding="utf-8"))
    if not facts.get("DomainId"):
        return None  # a notebook instance
    return Studio(facts["DomainId"], facts.get("UserProfileName") or "", facts.get("ExecutionRoleArn") or "")


def find_role(session: Session, studio: Studio | None) -> str:
    """The ARN of the execution role: of Studio, or else the role that the caller is.

    Raises:
        ToolkitError: the caller is no role, or may not ask.
    """
    role = _role_of(session, studio) if studio else ""
    if role:
        return role
    sts, iam = session.client("sts"), session.client("iam")
    with explained(sts):
        arn = str(sts.get_caller_identity()["Arn"])
    kind, _, name = arn.rpartition(":")[2].partition("/")
    if kind != "assumed-role":
        raise ToolkitError(
            f"{arn} is no role, so the role for the build is not known.",
            "--role NAME; `./build.py iam --cloudformation` prints a stack with one.",
        )
    with explained(iam):
        return str(iam.get_role(RoleName=name.partition("/")[0])["Role"]["Arn"])  # it may have a path


def _role_of(session: Session, studio: Studio) -> str:
    if studio.role:
        return studio.role
    client = session.client("sagemaker")
    with explained(client):
        if studio.user:
            profile = client.describe_user_profile(DomainId=studio.domain, UserProfileName=studio.user)
            if role := _execution_role(profile, "UserSettings"):
                return role
        domain = client.describe_domain(DomainId=studio.domain)
    return _execution_role(domain, "DefaultUserSettings" if studio.user else "DefaultSpaceSettings")


def _execution_role(description: dict[str, Any], settings: str) -> str:
    return str(description.get(settings, {}).get("ExecutionRole", ""))
