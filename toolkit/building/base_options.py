"""The options that choose a base and where it is pulled from, as `build`, `plan` and `bump` take them."""

from __future__ import annotations

import argparse
from dataclasses import replace

from toolkit.building.sources import Sources, from_environment


def add_base_options(parser: argparse.ArgumentParser) -> None:
    """Declare --base, --region and --registry."""
    parser.add_argument(
        "--base",
        metavar="KIND",
        help="slim, dlc (AWS Deep Learning Container), or a base's name; `list` shows them",
    )
    add_source_options(parser)


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Declare --region and --registry."""
    parser.add_argument(
        "--region",
        help="AWS region to pull Deep Learning Containers from (AWS_REGION); none: the public gallery",
    )
    parser.add_argument(
        "--registry", metavar="HOST[/PREFIX]", help="mirror, pull-through cache or own registry of all bases"
    )


def sources_of(arguments: argparse.Namespace) -> Sources:
    """What the options and the AWS variables say."""
    found = from_environment()
    if arguments.region:
        found = replace(found, region=arguments.region)
    if arguments.registry:
        found = replace(found, registry=arguments.registry.removeprefix("https://").rstrip("/"))
    return found
