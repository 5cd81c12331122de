"""A CloudFormation template with all that builds in CodeBuild need of an account."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from toolkit.codebuild import permissions, storage
from toolkit.codebuild.permissions import Need, Place
from toolkit.codebuild.roles import DEFAULT_NAME


def make(
    *,
    bucket: str | None = None,
    vpc: bool = False,
    secrets: Sequence[str] = (),
    parameters: Sequence[str] = (),
) -> dict[str, Any]:
    """The template: the role of builds, and a policy for whoever starts them.

    Args:
        bucket: for the build contexts; None for the default one, which `remote` makes where it is missing.
        vpc: whether builds run in a VPC.
        secrets: see `permissions.of_build`.
        parameters: see `permissions.of_build`.
    """
    place = Place(
        partition="${AWS::Partition}",
        region="${AWS::Region}",
        account="${AWS::AccountId}",
        role="${BuildRole.Arn}",
        bucket=bucket or storage.default_bucket("${AWS::Region}", "${AWS::AccountId}"),
    )
    caller = [
        *permissions.of_caller(place),
        *permissions.of_check(place),
        *permissions.of_push_by_hand(place, share=True, all_regions=True),
    ]
    build = permissions.of_build(place, vpc=vpc, secrets=secrets, parameters=parameters)
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "What `build.py remote` needs: a role for builds, and a policy for its users.",
        "Resources": {
            "BuildRole": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "RoleName": DEFAULT_NAME,
                    "AssumeRolePolicyDocument": permissions.trust_policy(),
                    "Policies": [{"PolicyName": "build", "PolicyDocument": _policy(build)}],
                },
            },
            "CallerPolicy": {
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": {
                    "Description": "For users and roles that start builds.",
                    "PolicyDocument": _policy(caller),
                },
            },
        },
        "Outputs": {
            "BuildRoleArn": {"Description": "The role of builds.", "Value": {"Fn::GetAtt": "BuildRole.Arn"}},
            "CallerPolicyArn": {
                "Description": "Attach it to the users and roles that start builds.",
                "Value": {"Ref": "CallerPolicy"},
            },
        },
    }


def _policy(needs: Iterable[Need]) -> dict[str, Any]:
    document = permissions.policy(needs)
    for statement in document["Statement"]:
        statement["Resource"] = [_substituted(resource) for resource in statement["Resource"]]
    return document


def _substituted(resource: str) -> Any:
    return {"Fn::Sub": resource} if "${" in resource else resource
