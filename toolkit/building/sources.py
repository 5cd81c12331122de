"""Where bases are pulled from: AWS's registry of a region, the public gallery, or one of the user's own."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import ToolkitError

if TYPE_CHECKING:  # pydantic takes long to import, and `--help` reads this module
    from toolkit.building.schema import DeepLearningContainer, Variant

_TABLE = Path(__file__).parent.parent / "data" / "registries.toml"
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")  # the SDKs' own order


class MissingRegionError(ToolkitError):
    """An image that lies in the registries of the regions only, and no region is named."""


@dataclass(frozen=True)
class Sources:
    """Where bases are pulled from.

    Attributes:
        region: AWS region whose registries hold the Deep Learning Containers; None for the public gallery.
        registry: `HOST` or `HOST/PREFIX` that holds all bases in their stead, under the same repositories.
    """

    region: str | None = None
    registry: str | None = None

    def reference(self, variant: Variant, digest: str | None = None) -> str:
        """The reference to pull for a base, with `digest` where one is known.

        Raises:
            MissingRegionError: the image is in no registry that needs no region.
            ToolkitError: no such region.
        """
        pinned = f"@{digest}" if digest else ""
        if variant.os is not None:
            return f"{self._of_docker_hub(variant.os.image)}{pinned}"
        if variant.dlc is None:
            raise ValueError("only a base is pulled")
        host = self.registry or self._host(variant.dlc)
        return f"{host}/{variant.dlc.repository}:{variant.dlc.tag}{pinned}"

    def _of_docker_hub(self, image: str) -> str:
        if self.registry is None:
            return image
        return f"{self.registry}/{image if '/' in image else f'library/{image}'}"

    def _host(self, dlc: DeepLearningContainer) -> str:
        if self.region is not None:
            return private_registry(dlc.registry, self.region)
        if dlc.registry == "deep-learning-containers":
            return str(_table()["public"])
        raise MissingRegionError(
            f"{dlc.repository}:{dlc.tag} is in AWS's registry of each region only, and no region is named.",
            "Add --region REGION, set AWS_REGION, or name a registry of your own: --registry HOST.",
        )


def from_environment(environment: Mapping[str, str] = os.environ) -> Sources:
    """The sources that the AWS variables name."""
    return Sources(
        region=next((environment[name] for name in REGION_VARIABLES if environment.get(name)), None)
    )


def private_registry(group: str, region: str) -> str:
    """Host name of AWS's private registry in a region.

    Args:
        group: `deep-learning-containers` or `sagemaker-algorithms`.
        region: such as `eu-west-1`.

    Raises:
        ToolkitError: the list has no account for the region.
    """
    accounts: Mapping[str, str] = _table()["accounts"][group]
    if region not in accounts:
        nearest = get_close_matches(region, accounts, n=1)
        hint = f"Did you mean {nearest[0]}? " if nearest else ""
        raise ToolkitError(
            f"no registry of the {group} is known in region {region!r} (as of {_table()['as_of']}).",
            f"{hint}toolkit/data/registries.toml lists all; --registry HOST names one of your own.",
        )
    suffixes: Mapping[str, str] = _table()["suffixes"]
    suffix = next(suffix for start, suffix in suffixes.items() if region.startswith(start))
    return f"{accounts[region]}.dkr.ecr.{region}.{suffix}"


def registry_accounts(region: str) -> tuple[str, ...]:
    """The accounts that hold AWS's images in a region; those of all regions for one that has none here."""
    groups: list[Mapping[str, str]] = list(_table()["accounts"].values())
    found = {group[region] for group in groups if region in group}
    return tuple(sorted(found or {account for group in groups for account in group.values()}))


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(_TABLE.read_text(encoding="utf-8"))
