"""Names of repositories and tags, by the rules of ECR and of SageMaker (IMG-10)."""

from __future__ import annotations

import re

from toolkit.errors import ToolkitError

LONGEST_REPOSITORY = 256
LONGEST_TAG = 128  # of the distribution specification; ECR alone takes 300
LONGEST_REFERENCE = 255  # what SageMaker takes as an image
_REPOSITORY = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_ACCOUNT = re.compile(r"\d{12}")


def check_repository(name: str) -> str:
    """`name` itself.

    Raises:
        ToolkitError: it is not the name of a repository; proposes one.
    """
    if 2 <= len(name) <= LONGEST_REPOSITORY and _REPOSITORY.fullmatch(name):
        return name
    rule = f"2 to {LONGEST_REPOSITORY} lower case letters, digits, and between them one of . _ - /"
    raise ToolkitError(f"{name!r} cannot be the name of a repository: {rule}.", _propose(name))


def check_tag(tag: str) -> str:
    """`tag` itself.

    Raises:
        ToolkitError: it is not a tag.
    """
    if len(tag) <= LONGEST_TAG and _TAG.fullmatch(tag):
        return tag
    raise ToolkitError(
        f"{tag!r} cannot be a tag: 1 to {LONGEST_TAG} letters, digits, and . _ - after the first.",
        "Choose another with --tag.",
    )


def check_account(account: str) -> str:
    """`account` itself.

    Raises:
        ToolkitError: it is not an AWS account.
    """
    if _ACCOUNT.fullmatch(account):
        return account
    raise ToolkitError(f"{account!r} is not an AWS account: twelve digits.", "aws sts get-caller-identity")


def check_reference(reference: str) -> str:
    """`reference` itself.

    Raises:
        ToolkitError: SageMaker takes none of that length.
    """
    if len(reference) <= LONGEST_REFERENCE:
        return reference
    raise ToolkitError(
        f"{reference} has {len(reference)} characters; SageMaker takes {LONGEST_REFERENCE}.",
        "Choose a shorter --repository or --tag.",
    )


def short_name(reference: str) -> str:
    """`host:5000/team/name:tag` to `name`."""
    return reference.partition("@")[0].rpartition("/")[2].partition(":")[0]


def _propose(name: str) -> str:
    parts = [re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") for part in name.split("/")]
    proposal = "/".join(part for part in parts if part)[:LONGEST_REPOSITORY]
    return f"--repository {proposal}" if len(proposal) > 1 else "--repository sagemaker/NAME"
