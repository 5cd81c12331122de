"""`build.py sm-docker build`: what the SageMaker Studio image build CLI does, with its options."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

HELP = "Build any folder with a Dockerfile in AWS CodeBuild and push it to ECR, in the place of sm-docker."
EPILOG = "All other arguments are those of docker build: ./build.py sm-docker build . --file Dockerfile.gpu"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments; those after `build` are read by `_parser`."""
    parser.epilog = EPILOG
    parser.add_argument("action", choices=["build"])
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="...", help="`sm-docker build --help` lists them"
    )


def _parser() -> argparse.ArgumentParser:
    from toolkit.codebuild.arguments import add_project_arguments

    parser = argparse.ArgumentParser(
        prog="build.py sm-docker build", description=HELP, epilog=EPILOG, allow_abbrev=False
    )
    parser.add_argument(
        "--repository", metavar="NAME[:TAG]", help="of ECR (sagemaker-studio-DOMAIN:USER in Studio)"
    )
    parser.add_argument("--no-logs", action="store_true", help="do not show the log of the build")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--dry-run", action="store_true", help="print project, buildspec and files, and stop")
    parser.add_argument("--region", help="of AWS (AWS_REGION, or that of your profile)")
    add_project_arguments(parser)
    parser.set_defaults(compute_type="BUILD_GENERAL1_SMALL")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Send the working directory, build, watch, and say what came out."""
    chosen, rest = _parser().parse_known_args(arguments.arguments)
    return _build(chosen, rest)


def _build(arguments: argparse.Namespace, rest: Sequence[str]) -> int:
    import sys
    from pathlib import Path

    from toolkit import aws
    from toolkit.codebuild.sm_docker import read_arguments

    build = read_arguments(Path.cwd(), rest)
    aws.install()
    from toolkit.aws.session import Session
    from toolkit.codebuild import console, ecr, sm_docker, studio
    from toolkit.codebuild.arguments import settings_of
    from toolkit.codebuild.remote_build import Order
    from toolkit.interrupts import terminate_like_interrupt

    session = Session(arguments.region)
    here = studio.find()
    repository, tag = sm_docker.split_repository(arguments.repository, here)
    arguments.role = arguments.role or studio.find_role(session, here)
    host = ecr.host_of(session.account, session.region, session.partition)
    order = Order(
        root=build.folder,
        names=build.names(),
        buildspec=sm_docker.make_buildspec(build, host, repository, tag),
        settings=settings_of(arguments, session, "linux/amd64", log_group=None),
        bucket=arguments.bucket,
        checked=False,  # roles that were made for sm-docker have less, and it is enough
        temporary=sm_docker.project_name(here),
    )
    if arguments.dry_run:
        return console.show(order)
    terminate_like_interrupt()
    if ecr.ensure_repository(session, repository):
        print(f"New repository {repository}", file=sys.stderr)
    return console.run(order, session, with_log=not arguments.no_logs, as_json=arguments.json)
