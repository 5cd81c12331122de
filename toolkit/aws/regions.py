"""Regions and partitions, as the installed botocore knows them."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

import botocore.session
from botocore.exceptions import UnknownRegionError

from toolkit.errors import ToolkitError


@dataclass(frozen=True)
class Partition:
    """A group of regions with accounts, ARNs and domains of its own.

    Attributes:
        name: `aws`, `aws-cn`, `aws-us-gov`, ...; the second word of an ARN.
        domain: such as `amazonaws.com` (CB-13: China has another).
    """

    name: str
    domain: str


def partition_of(region: str) -> Partition:
    """The partition of a region.

    Raises:
        ToolkitError: no partition has regions of that form.
    """
    try:
        name = _botocore().get_partition_for_region(region)
    except UnknownRegionError:
        raise unknown_region(region) from None
    facts = {one["id"]: one["outputs"] for one in _botocore().get_data("partitions")["partitions"]}
    return Partition(name, facts[name]["dnsSuffix"])


def regions_of(service: str, partition: str = "aws") -> list[str]:
    """The regions of a partition that have a service, such as `ecr` or `sagemaker`, sorted."""
    return sorted(_botocore().get_available_regions(service, partition))


def check_region(region: str) -> str:
    """`region` itself.

    Raises:
        ToolkitError: there is none of that name; names the nearest.
    """
    if region not in _all_regions():
        raise unknown_region(region)
    return region


def unknown_region(region: str) -> ToolkitError:
    """The error on a region that botocore does not know."""
    nearest = get_close_matches(region, _all_regions(), n=1)
    hint = f"Did you mean {nearest[0]}? " if nearest else ""
    return ToolkitError(
        f"there is no region called {region!r}.",
        f"{hint}A region newer than the installed botocore needs `./build.py lock` and `make setup`.",
    )


@cache
def _all_regions() -> tuple[str, ...]:
    session = _botocore()
    partitions = session.get_available_partitions()
    return tuple(region for name in partitions for region in session.get_available_regions("ec2", name))


@cache
def _botocore() -> Any:
    """A session without configuration: only its data are asked."""
    return botocore.session.Session()
