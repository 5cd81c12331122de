"""`build.py iam`: the permissions that pushes and builds in CodeBuild need, as policies."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.codebuild.permissions import Need, Place

HELP = "Print the IAM policies that push and remote need, or a CloudFormation stack."
PARTS = ("caller", "build-role", "trust", "push", "repository")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "part",
        nargs="?",
        choices=PARTS,
        help="caller: of whoever runs `remote`; build-role: of the role that builds have; trust: that role's "
        "trust policy; push: of whoever runs `push` here; repository: what --to-account says of its own, for "
        "pushes from here (all of them)",
    )
    parser.add_argument(
        "--cloudformation",
        action="store_true",
        help="a stack with the role and the policies; needs no account",
    )
    parser.add_argument("--vpc", action="store_true", help="builds run in a VPC")
    parser.add_argument("--secret", action="append", default=[], metavar="NAME", help="see `remote`")
    parser.add_argument("--parameter", action="append", default=[], metavar="NAME", help="see `remote`")
    parser.add_argument("--share", action="store_true", help="`push` with --allow-account, --allow-sagemaker")
    parser.add_argument("--all-regions", action="store_true", help="`push` with --all-regions")
    parser.add_argument("--base", choices=("slim", "dlc"), default="slim", help="`push` with --base dlc")
    parser.add_argument("--kms-key", metavar="ARN", help="`push` with --kms-key ARN")
    parser.add_argument("--to-account", metavar="ID", help="`push` with --account ID: into its registry")
    parser.add_argument("--region", help="of AWS (AWS_REGION, or that of your profile)")
    parser.add_argument("--account", metavar="ID", help="twelve digits (the caller's, by AWS STS)")
    parser.add_argument("--role", help="name or ARN of the build's role (opt-ml-codebuild)")
    parser.add_argument("--bucket", help="for the build context (sagemaker-REGION-ACCOUNT)")


def run(arguments: argparse.Namespace) -> int:
    """Print a policy, all of them by name, or the template."""
    import json

    from toolkit import aws

    aws.install()
    print(json.dumps(_document(arguments), indent=2))
    return 0


def _document(arguments: argparse.Namespace) -> dict[str, Any]:
    from toolkit.codebuild import permissions, template

    more = {"vpc": arguments.vpc, "secrets": arguments.secret, "parameters": arguments.parameter}
    if arguments.cloudformation:
        return template.make(bucket=arguments.bucket, **more)
    if arguments.part == "trust":
        return permissions.trust_policy()
    place = _place(arguments)
    policies = {
        "caller": permissions.policy([*permissions.of_caller(place), *permissions.of_check(place)]),
        "build-role": permissions.policy(permissions.of_build(place, **more)),
        "trust": permissions.trust_policy(),
        "push": permissions.policy(_push(arguments, place)),
        "repository": permissions.repository_policy(place.partition, place.account),
    }
    return policies[arguments.part] if arguments.part else policies


def _push(arguments: argparse.Namespace, place: Place) -> list[Need]:
    from toolkit.codebuild import permissions
    from toolkit.errors import ToolkitError
    from toolkit.registry.names import check_account

    if arguments.to_account and arguments.share:
        raise ToolkitError(
            "only the owner of a repository says who else may pull.", "Leave out --to-account, or --share."
        )
    return permissions.of_push_by_hand(
        place,
        share=arguments.share,
        all_regions=arguments.all_regions,
        with_bases=arguments.base == "dlc",
        kms_key=arguments.kms_key,
        owner=check_account(arguments.to_account) if arguments.to_account else None,
    )


def _place(arguments: argparse.Namespace) -> Place:
    from toolkit.aws.regions import partition_of
    from toolkit.aws.session import Session
    from toolkit.codebuild import roles, storage
    from toolkit.codebuild.permissions import Place

    session = Session(arguments.region)
    region, account = session.region, arguments.account or session.account
    partition = partition_of(region).name
    return Place(
        partition=partition,
        region=region,
        account=account,
        role=roles.arn(partition, account, arguments.role or roles.DEFAULT_NAME),
        bucket=arguments.bucket or storage.default_bucket(region, account),
    )
