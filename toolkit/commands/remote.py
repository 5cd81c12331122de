"""`build.py remote`: build and push images in AWS CodeBuild."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.aws.session import Session
    from toolkit.building.images import Image
    from toolkit.codebuild.remote_build import Order

HELP = "Build images in AWS CodeBuild and push them to ECR, as build and push do here."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    from toolkit.building.base_options import add_base_options
    from toolkit.codebuild.arguments import add_project_arguments

    parser.add_argument("images", nargs="+", metavar="IMAGE", help="such as ensemble-cpu; `list` shows all")
    add_base_options(parser)
    parser.add_argument("--no-cache", action="store_true", help="build every step anew")
    parser.add_argument(
        "--registry-cache",
        action="store_true",
        help="pull layers of the image that was pushed last where nothing of them has changed",
    )
    parser.add_argument("--repository", metavar="NAME[:TAG]", help="as `push` takes it")
    parser.add_argument("--tag", action="append", default=[], help="as `push` takes it (repeatable)")
    parser.add_argument(
        "--temporary", action="store_true", help="delete the project and the archive after the build"
    )
    parser.add_argument("--no-check", action="store_true", help="do not ask IAM what is missing first")
    parser.add_argument("--no-logs", action="store_true", help="do not show the log of the build")
    parser.add_argument("--dry-run", action="store_true", help="print project, buildspec and files, and stop")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    add_project_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Send, build, watch, and say what came out."""
    from toolkit import aws
    from toolkit.building import images
    from toolkit.interrupts import terminate_like_interrupt

    chosen = [images.find(name) for name in arguments.images]
    aws.install()
    from toolkit.aws.session import Session
    from toolkit.codebuild import console

    session = Session(arguments.region)
    order = _order(arguments, chosen, session)
    if arguments.dry_run:
        return console.show(order)
    terminate_like_interrupt()
    return console.run(order, session, with_log=not arguments.no_logs, as_json=arguments.json)


def _order(arguments: argparse.Namespace, chosen: list[Image], session: Session) -> Order:
    from toolkit.building.images import ROOT
    from toolkit.building.revision import find_revision
    from toolkit.codebuild import buildspec, context, ecr, project
    from toolkit.codebuild.arguments import settings_of
    from toolkit.codebuild.remote_build import Order
    from toolkit.registry.shipment import DEFAULT_REPOSITORY

    settings = settings_of(arguments, session, platform_of(chosen), project.LOG_GROUP)
    repository = (arguments.repository or DEFAULT_REPOSITORY).partition(":")[0]
    build, before = _build_arguments(arguments), []
    if arguments.registry_cache:
        host = ecr.host_of(session.account, session.region, session.partition)
        before = [ecr.login(host)]
        build += ["--registry-cache", f"{host}/{repository}:latest"]
    return Order(
        root=ROOT,
        names=context.checkout_context(ROOT),
        buildspec=buildspec.of_images(
            [image.name for image in chosen],
            build=build,
            before=before,
            push=["--region", session.region, *_push_arguments(arguments)],
            curated=settings.curated,
            revision=find_revision(),
        ),
        settings=settings,
        bucket=arguments.bucket,
        repositories=[repository.replace("{image}", image.name) for image in chosen],
        checked=not arguments.no_check,
        temporary=project.temporary_name() if arguments.temporary else None,
    )


def _build_arguments(arguments: argparse.Namespace) -> list[str]:
    given = {"--base": arguments.base, "--region": arguments.region, "--registry": arguments.registry}
    words = [word for option, value in given.items() if value for word in (option, value)]
    return [*words, *(["--no-cache"] if arguments.no_cache else [])]


def _push_arguments(arguments: argparse.Namespace) -> list[str]:
    words = ["--repository", arguments.repository] if arguments.repository else []
    return [*words, *(word for tag in arguments.tag for word in ("--tag", tag))]


def platform_of(chosen: list[Image]) -> str:
    """The one platform of the images: each is built on a machine of its own kind.

    Raises:
        ToolkitError: there are two.
    """
    from toolkit.errors import ToolkitError

    platforms = {image.variant.platform for image in chosen}
    if len(platforms) > 1:
        names = ", ".join(f"{image.name} ({image.variant.platform})" for image in chosen)
        raise ToolkitError(f"one build has one platform: {names}.", "Call `remote` once for each platform.")
    return platforms.pop()
