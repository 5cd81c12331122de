"""`build.py push`: images to Amazon ECR, as Docker schema 2, which SageMaker takes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.building.plan import Step
    from toolkit.registry.local_image import LocalImage
    from toolkit.registry.shipment import Address, Destination, Shipped

HELP = "Build images, push them to Amazon ECR in the form that SageMaker takes, and print their image_uri."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="ours, such as ensemble-cpu, or any local reference"
    )
    parser.add_argument("--base", metavar="KIND", help="slim, dlc, or a base's name, as for `build`")
    where = parser.add_argument_group("where to")
    where.add_argument(
        "--repository",
        metavar="NAME[:TAG]",
        help="repository of ECR, {image} for the image's name (sagemaker/{image})",
    )
    where.add_argument(
        "--tag",
        action="append",
        default=[],
        help="your own, before those of the scheme (repeatable)",
    )
    where.add_argument(
        "--region", action="append", default=[], help="repeatable (AWS_REGION, or that of the profile)"
    )
    where.add_argument(
        "--all-regions", action="store_true", help="all regions with SageMaker that the account has enabled"
    )
    where.add_argument("--account", metavar="ID", help="whose registry it is (the caller's)")
    where.add_argument("--profile", metavar="NAME", help="of the AWS configuration (AWS_PROFILE)")
    where.add_argument(
        "--registry",
        metavar="HOST",
        help="not ECR, but another registry, such as localhost:5000",
    )
    repository = parser.add_argument_group("the repository")
    repository.add_argument("--kms-key", metavar="ARN", help="encrypts a new repository")
    repository.add_argument(
        "--allow-account", action="append", default=[], metavar="ID", help="may pull (repeatable)"
    )
    repository.add_argument(
        "--allow-sagemaker", action="store_true", help="sagemaker.amazonaws.com may pull, for model packages"
    )
    parser.add_argument(
        "--no-build",
        action="store_true",
        help="push what is here, up to date or not",
    )
    parser.add_argument(
        "--no-serverless",
        action="store_true",
        help="for jobs and instances alone: larger than serverless endpoints take (10,737,418,240 bytes)",
    )
    parser.add_argument("--write", metavar="FILE", help="write the image_uri there, a line for each push")
    parser.add_argument("--dry-run", action="store_true", help="say what would be pushed where, and stop")
    parser.add_argument("--json", action="store_true", help="what was pushed as a JSON list")


def run(arguments: argparse.Namespace) -> int:
    """Build all images, check all of them, and only then push."""
    import sys

    from toolkit.building.plan import plan_on_base
    from toolkit.errors import ToolkitError
    from toolkit.registry.local_image import check_image
    from toolkit.registry.names import check_account, short_name

    for account in (*arguments.allow_account, *([arguments.account] if arguments.account else [])):
        check_account(account)
    if arguments.registry and (arguments.region or arguments.all_regions or arguments.account):
        raise ToolkitError("--registry is not ECR, which has regions and accounts.", "Leave one of them out.")
    address = _address(arguments)
    references = [name for name in arguments.images if "/" in name or ":" in name]
    ours = [name for name in arguments.images if name not in references]
    steps = plan_on_base(ours, arguments.base) if ours else []
    for name in (*(step.image.name for step in steps if step.asked), *map(short_name, references)):
        address.repository_of(name)  # before a build of an hour, too
    for step in steps:
        if step.note:
            print(step.note, file=sys.stderr)
    destinations = [] if arguments.dry_run else _destinations(arguments)
    if steps and not (arguments.no_build or arguments.dry_run):
        _build(steps, next(iter(arguments.region), None))
    found = _find(steps, references)
    for image in found:
        check_image(image, not arguments.no_serverless)
    if arguments.dry_run:
        return _show(found, address, arguments)
    return _push(found, address, destinations, arguments)


def _address(arguments: argparse.Namespace) -> Address:
    from toolkit.errors import ToolkitError
    from toolkit.registry.names import check_tag
    from toolkit.registry.shipment import DEFAULT_REPOSITORY, Address

    repository, _, tag = (arguments.repository or DEFAULT_REPOSITORY).partition(":")
    if len(arguments.images) > 1 and "{image}" not in repository:
        raise ToolkitError(
            f"{len(arguments.images)} images would share the repository {repository} and its tags.",
            "Push them one after the other, or: --repository NAME/{image}",
        )
    own = [*arguments.tag, *([tag] if tag else [])]
    return Address(repository, tuple(check_tag(one) for one in own))


def _destinations(arguments: argparse.Namespace) -> list[Destination]:
    """The registries; the credentials are tried, so that a build of an hour does not come before."""
    from toolkit.registry import tags
    from toolkit.registry.shipment import OtherRegistry

    if arguments.registry:
        return [OtherRegistry(arguments.registry)]
    from toolkit import aws

    aws.install()
    from toolkit.aws.session import Session
    from toolkit.registry.ecr import Ecr, EcrRegistry, Wishes, enabled_regions

    wishes = Wishes(
        moving_tags=tuple(rule.pattern for rule in tags.read_scheme() if rule.moves),
        kms_key=arguments.kms_key,
        accounts=tuple(arguments.allow_account),
        with_sagemaker=arguments.allow_sagemaker,
    )
    session = Session(next(iter(arguments.region), None), arguments.profile)
    regions = enabled_regions(session) if arguments.all_regions else arguments.region or [session.region]
    registries = [Ecr(session, region, arguments.account) for region in dict.fromkeys(regions)]
    registries[0].log_in()
    return [EcrRegistry(ecr, wishes) for ecr in registries]


def _build(steps: Sequence[Step], region: str | None) -> None:
    from dataclasses import replace

    from toolkit.building import builder
    from toolkit.building.sources import from_environment

    found = from_environment()
    builder.execute(steps, builder.look_around(replace(found, region=region or found.region)))


def _find(steps: Sequence[Step], references: Sequence[str]) -> list[LocalImage]:
    """What is to be pushed, as the engine has it now; none of it has failed its tests.

    Raises:
        ToolkitError: an image is not there, or has failed them.
    """
    from toolkit.building import host_amis
    from toolkit.registry.local_image import find_image
    from toolkit.registry.names import short_name

    found = []
    for image in (step.image for step in steps if step.asked):
        ami = host_amis.realtime(image.cuda) if image.cuda else None
        found.append(find_image(image.name, image.reference, ami))
        _check_tests(found[-1])
    return [*found, *(find_image(short_name(name), name) for name in references)]


def _check_tests(image: LocalImage) -> None:
    """Refuse what has failed, by the ledger; what nobody has tested is told."""
    import sys

    from toolkit.building.ledger import entries
    from toolkit.errors import ToolkitError

    entry = entries.read(image.name, image.id)
    results = entry.tests if entry else []
    failed = [result for result in results if result.failed]
    if failed:
        raise ToolkitError(
            f"{image.reference} has failed {failed[0].failed} tests of {failed[0].suite}.",
            f"make test-{image.name}",
        )
    if not results:
        print(f"{image.name} is not tested yet; make test-{image.name} does it.", file=sys.stderr)


def _push(
    found: Sequence[LocalImage],
    address: Address,
    destinations: Sequence[Destination],
    arguments: argparse.Namespace,
) -> int:
    """Push all images; one that fails ends it, and what went before is told."""
    import json
    import sys
    from dataclasses import asdict
    from functools import partial
    from pathlib import Path

    from toolkit.building.images import ROOT
    from toolkit.registry.known_layers import KnownLayers
    from toolkit.registry.shipment import RECORDS, ship, write_record

    records = ROOT / RECORDS
    report = partial(print, file=sys.stderr, flush=True)
    known = KnownLayers(records / "known-layers" / "layers.json")
    shipped = []
    for image in found:
        done = ship(image, address, destinations, known, report)
        write_record(records, image.name, done)
        shipped += done
        if not arguments.json:
            _tell(done)
    if arguments.write:
        Path(arguments.write).write_text("".join(f"{one.image_uri}\n" for one in shipped), encoding="utf-8")
    if arguments.json:
        print(json.dumps([asdict(one) for one in shipped], indent=2))
    return 0


def _tell(shipped: Sequence[Shipped]) -> None:
    for one in shipped:
        where = f" in {one.region}" if one.region else ""
        print(f"Pushed {one.image}{where}: {one.size_mb:.1f} MB, {one.sent_mb:.1f} of them sent")
        print(f"  image_uri  {one.image_uri}")
        print(f"  by digest  {one.digest_uri}")
        if one.inference_ami:
            print(f"  endpoints  need InferenceAmiVersion={one.inference_ami}, for the image's CUDA")


def _show(found: Sequence[LocalImage], address: Address, arguments: argparse.Namespace) -> int:
    where = arguments.registry or (
        "all enabled regions" if arguments.all_regions else ", ".join(arguments.region) or "the usual region"
    )
    for image in found:
        print(f"{image.reference} ({image.size / 1e6:.0f} MB unpacked) to {where}:")
        for tag in address.tags_of(image):
            print(f"  {address.repository_of(image.name)}:{tag}")
    return 0
