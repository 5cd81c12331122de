"""The options of a build in CodeBuild, for the commands that start one."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.aws.session import Session
    from toolkit.codebuild.project import Settings


def add_project_arguments(parser: Any) -> None:
    """Declare where and as whom the build runs, as `remote` and `sm-docker` take it."""
    add = parser.add_argument_group("where it runs").add_argument
    add("--role", help="name or ARN of the build's role (opt-ml-codebuild)")
    add("--bucket", help="for the build context (the SageMaker SDK's: sagemaker-REGION-ACCOUNT)")
    add("--compute-type", metavar="TYPE", help="BUILD_GENERAL1_SMALL, _MEDIUM, _LARGE, _XLARGE or _2XLARGE")
    add("--build-image", metavar="IMAGE", help="the image that the build runs in (CodeBuild's newest)")
    add("--fleet", metavar="ARN", help="a reserved capacity fleet")
    add(
        "--docker-server",
        metavar="TYPE",
        help="a compute type for CodeBuild's own Docker server, which keeps the build cache",
    )
    add("--vpc-id", metavar="ID", help="the VPC to run in, such as vpc-05c09f91d48831c8c")
    add("--subnet-ids", metavar="IDS", help="its subnets, separated by commas")
    add("--security-group-ids", metavar="IDS", help="its security groups, separated by commas")
    add("--timeout", type=int, default=120, metavar="MINUTES", help="for the build (120)")
    add("--queued-timeout", type=int, default=60, metavar="MINUTES", help="to wait for a machine (60)")
    add("--environment", action="append", default=[], metavar="NAME=VALUE", help="a variable of the build")
    add(
        "--secret",
        action="append",
        default=[],
        metavar="NAME=SECRET",
        help="a variable from Secrets Manager, such as PIP_INDEX_URL=my-index",
    )
    add(
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=PARAMETER",
        help="a variable from the Parameter Store",
    )


def settings_of(
    arguments: argparse.Namespace, session: Session, platform: str, log_group: str | None
) -> Settings:
    """The project's settings that the arguments ask for.

    Args:
        arguments: of `add_project_arguments`, with `role` or without.
        session: of the caller.
        platform: see `Settings`.
        log_group: see `Settings`.

    Raises:
        ToolkitError: an unknown compute type, or a VPC without its subnets or security groups.
    """
    from toolkit.codebuild import roles
    from toolkit.codebuild.project import Settings, check_compute_type, find_network
    from toolkit.jobs.options import parse_pairs

    kinds = {
        "--environment": ("PLAINTEXT", arguments.environment),
        "--parameter": ("PARAMETER_STORE", arguments.parameter),
        "--secret": ("SECRETS_MANAGER", arguments.secret),
    }
    return Settings(
        role=roles.arn(session.partition.name, session.account, arguments.role or roles.DEFAULT_NAME),
        platform=platform,
        log_group=log_group,
        compute_type=check_compute_type(arguments.compute_type),
        image=arguments.build_image,
        fleet=arguments.fleet,
        docker_server=arguments.docker_server and check_compute_type(arguments.docker_server),
        network=find_network(arguments.vpc_id, arguments.subnet_ids, arguments.security_group_ids),
        timeout=arguments.timeout,
        queued_timeout=arguments.queued_timeout,
        variables=[
            (name, value, kind)
            for option, (kind, texts) in kinds.items()
            for name, value in parse_pairs(option, texts).items()
        ],
    )
