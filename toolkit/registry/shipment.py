"""Images to ECR in some regions, or to another registry; and what their users have to know afterwards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from toolkit.errors import ToolkitError
from toolkit.registry import tags
from toolkit.registry.client import Registry
from toolkit.registry.credentials import from_docker
from toolkit.registry.known_layers import KnownLayers
from toolkit.registry.local_image import LocalImage
from toolkit.registry.names import check_reference, check_repository, check_tag
from toolkit.registry.present import tag_present
from toolkit.registry.push import Push, Pushed, Report, Target

RECORDS = ".build/push"  # below the checkout
DEFAULT_REPOSITORY = (
    "sagemaker/{image}"  # AmazonSageMakerFullAccess may push where `sagemaker` is in the name
)


@dataclass(frozen=True)
class Address:
    """Where an image goes within a registry.

    Attributes:
        repository: with {image} for the image's name.
        own_tags: of the caller, before those of the scheme.
    """

    repository: str = DEFAULT_REPOSITORY
    own_tags: tuple[str, ...] = ()

    def repository_of(self, name: str) -> str:
        """The repository of an image, by the image's name.

        Raises:
            ToolkitError: the name is against the rules (IMG-10).
        """
        return check_repository(self.repository.replace("{image}", name))

    def tags_of(self, image: LocalImage) -> tuple[str, ...]:
        """All tags of an image, the first for its image_uri.

        Raises:
            ToolkitError: one is against the rules (IMG-10).
        """
        made = [tags.make_tag(rule, image.facts) for rule in tags.read_scheme()]
        return tuple(dict.fromkeys([*map(check_tag, self.own_tags), *made]))


class Destination(Protocol):
    """A registry that images go to."""

    @property
    def region(self) -> str | None:
        """Of ECR; None for another registry."""

    def prepare(self, repository: str, wanted: Sequence[str], report: Report) -> Target:
        """Make the repository ready, and choose of `wanted` the tags that it can take."""


class OtherRegistry:
    """A registry that is not ECR: no repository is made, and all tags may move.

    Args:
        host: see `transport.Transport`.
    """

    region = None

    def __init__(self, host: str) -> None:
        name = host.rpartition("://")[2]
        self._registry = Registry(host, lambda: from_docker(name))

    def prepare(self, repository: str, wanted: Sequence[str], report: Report) -> Target:
        """See `Destination`."""
        del report
        return Target(self._registry, repository, tuple(wanted))


@dataclass(frozen=True)
class Shipped:
    """An image in a repository.

    Attributes:
        image: its name.
        region: of ECR; None for another registry.
        image_uri: with the first tag.
        digest_uri: with the digest, which no push can change.
        tags: all that it got.
        size_mb: compressed, in MB (1,000,000 bytes).
        sent_mb: of them sent by this push.
        inference_ami: InferenceAmiVersion that endpoints of the image need for its CUDA; None for most.
    """

    image: str
    region: str | None
    image_uri: str
    digest_uri: str
    tags: tuple[str, ...]
    size_mb: float
    sent_mb: float
    inference_ami: str | None = None


def ship(
    image: LocalImage,
    address: Address,
    destinations: Sequence[Destination],
    known: KnownLayers,
    report: Report,
) -> list[Shipped]:
    """Push one image to all destinations.

    Args:
        image: as it was built and tested.
        address: repository and tags.
        destinations: registries.
        known: what earlier pushes have learned.
        report: takes lines on what goes on.

    Raises:
        ToolkitError: a name is against the rules, a tag cannot move, a registry refuses.
        WorkError: the network or the disk failed, or SageMaker would refuse what came out.
    """
    repository, wanted = address.repository_of(image.name), address.tags_of(image)
    targets = [one.prepare(repository, wanted, report) for one in destinations]
    for target in targets:
        check_reference(f"{target.registry.host}/{repository}:{target.tags[0]}")
    done: dict[int, Pushed] = {}
    for number, target in enumerate(targets):
        if (present := tag_present(target, image.facts)) is not None:
            done[number] = present
            report(f"{target.registry.host}/{repository}: is there")
    missing = [number for number in range(len(targets)) if number not in done]
    if missing:
        push = Push(image.id, image.facts["RootFS"]["Layers"], [targets[n] for n in missing], known, report)
        done |= dict(zip(missing, push.run(), strict=True))
    return [_describe(image, destinations[number].region, done[number]) for number in range(len(targets))]


def _describe(image: LocalImage, region: str | None, pushed: Pushed) -> Shipped:
    place = f"{pushed.target.registry.host}/{pushed.target.repository}"
    return Shipped(
        image=image.name,
        region=region,
        image_uri=f"{place}:{pushed.target.tags[0]}",
        digest_uri=f"{place}@{pushed.digest}",
        tags=pushed.target.tags,
        size_mb=round(pushed.size / 1e6, 1),
        sent_mb=round(pushed.sent / 1e6, 1),
        inference_ami=image.inference_ami,
    )


def write_record(directory: Path, image: str, shipped: Sequence[Shipped]) -> Path:
    """Keep where an image was pushed to last, for `build.py estimator`; the file."""
    path = directory / f"{image}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(one) for one in shipped], indent=2) + "\n", encoding="utf-8")
    return path


def find_pushed(directory: Path, image: str, region: str | None = None) -> Shipped:
    """Where in ECR an image was pushed to last.

    Args:
        directory: of the records.
        image: its name.
        region: which of several; None for the first.

    Raises:
        ToolkitError: nowhere from this checkout, or not to that region.
    """
    path = directory / f"{image}.json"
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    pushed = [Shipped(**{**row, "tags": tuple(row["tags"])}) for row in rows]
    for one in pushed:
        if one.region and region in (None, one.region):
            return one
    where = f" to {region}" if region else " to ECR"
    option = f" --region {region}" if region else ""
    raise ToolkitError(f"{image} was not pushed{where} from here yet.", f"./build.py push {image}{option}")
