"""The policy of `build.py push`: what its options call, and nothing more."""

from __future__ import annotations

import pytest

from tests.codebuild.account import USER, unused
from tests.codebuild.fake_aws import ACCOUNT, REGION
from toolkit import cli
from toolkit.building.sources import private_registry
from toolkit.errors import ToolkitError
from toolkit.registry.ecr import Ecr, Wishes, enabled_regions

# What the registry itself is asked; test_remote_command.py has it, call by call.
REGISTRY = {
    *("ecr:BatchCheckLayerAvailability", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart"),
    *("ecr:CompleteLayerUpload", "ecr:PutImage", "ecr:BatchGetImage"),
}
COMPARE = "ecr:GetDownloadUrlForLayer"  # what a tag that cannot move has: `tag_present` asks for a blob
SHARED = Wishes(accounts=("111111111111",), with_sagemaker=True)
OTHER = "222222222222"
DLC_GROUPS = ("deep-learning-containers", "sagemaker-algorithms")


def push_to(aws, regions, wishes=Wishes(), owner=None):  # noqa: B008 - it is frozen
    """What `push` calls of the API before it sends anything."""
    for region in regions:
        ecr = Ecr(aws, region, owner)
        ecr.log_in()
        ecr.ensure("sagemaker/tiny", wishes)


@pytest.mark.parametrize(
    ("options", "regions", "wishes"),
    [
        ([], [REGION], Wishes()),
        (["--share"], [REGION], SHARED),
        (["--all-regions"], [REGION, "eu-west-1"], Wishes()),
        (["--share", "--all-regions"], [REGION, "eu-west-1"], SHARED),
    ],
)
def test_the_policy_of_push_allows_what_its_options_do_and_nothing_more(
    account, printed, aws, options, regions, wishes
):
    document = printed("push", *options)
    account.policies = {USER: [document]}
    if "--all-regions" in options:
        assert set(regions) <= set(enabled_regions(aws))
    push_to(aws, regions, wishes)
    assert {action for action, _ in unused(document, account.uses)} == REGISTRY | {COMPARE}


@pytest.mark.parametrize(
    ("regions", "wishes", "missing"),
    [(["eu-west-1"], Wishes(), "ecr:DescribeRepositories"), ([REGION], SHARED, "ecr:GetRepositoryPolicy")],
)
def test_the_policy_of_a_plain_push_allows_none_of_the_options(
    account, printed, aws, regions, wishes, missing
):
    account.policies = {USER: [printed("push")]}
    with pytest.raises(ToolkitError, match=f"the permission {missing} is missing"):
        push_to(aws, regions, wishes)


def test_a_push_into_another_account_is_allowed_by_both_policies_and_makes_no_repository(
    account, printed, aws
):
    document, theirs = printed("push", "--to-account", OTHER), printed("repository")
    account.policies = {USER: [document]}
    with pytest.raises(ToolkitError, match=f"account {OTHER} has no repository sagemaker/tiny") as caught:
        push_to(aws, [REGION], owner=OTHER)
    assert "iam repository" in caught.value.cure
    assert {action for action, _ in unused(document, account.uses)} == REGISTRY | {COMPARE}
    (statement,) = theirs["Statement"]
    assert statement["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    asked = {use.action for use in account.uses} - {"ecr:GetAuthorizationToken"}
    assert set(statement["Action"]) == REGISTRY | {COMPARE} | asked
    assert cli.main(["iam", "push", "--to-account", OTHER, "--share"]) == 2


def test_a_push_on_aws_bases_may_pull_from_all_registries_that_they_are_in(printed):
    """The host names that a build pulls from are made of the same list."""
    pulled = {private_registry(group, "eu-west-1").partition(".")[0] for group in DLC_GROUPS}
    for policy in (
        printed("push", "--base", "dlc", "--region", "eu-west-1"),
        printed("build-role", "--region", "eu-west-1"),
    ):
        [pull] = [one for one in policy["Statement"] if one["Sid"] == "Pull"]
        accounts = {resource.split(":")[4] for resource in pull["Resource"]}
        assert accounts - {ACCOUNT} == pulled
    assert "Pull" not in {one["Sid"] for one in printed("push")["Statement"]}


@pytest.mark.parametrize("key", ["1234abcd", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd"])
def test_a_push_with_a_key_may_have_grants_on_that_key_made(printed, key):
    [statement] = [one for one in printed("push", "--kms-key", key)["Statement"] if one["Sid"] == "Key"]
    assert statement["Action"] == ["kms:CreateGrant", "kms:DescribeKey"]
    assert statement["Resource"] == [f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd"]
