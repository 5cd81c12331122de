"""A local image as it was built and tested, and whether SageMaker could run it at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.errors import ToolkitError
from toolkit.machine import docker
from toolkit.namespace import LOCAL_NAMESPACE

PLATFORMS = ("linux/amd64", "linux/arm64")  # IMG-06, IMG-07
LARGEST = (
    10_737_418_240  # bytes, unpacked: `Image size ... is greater than supported size 10737418240` (HOST-90)
)
MOST_LAYERS = 127  # of Docker


@dataclass(frozen=True)
class LocalImage:
    """An image of the engine, found once and meant from then on.

    Attributes:
        name: short, for file names and repositories: `ensemble-cpu`.
        reference: as it was asked for.
        facts: as `docker image inspect` tells them.
        size: bytes of the layers, unpacked.
        inference_ami: InferenceAmiVersion that endpoints of the image need for its CUDA; None for most.
    """

    name: str
    reference: str
    facts: Mapping[str, Any]
    size: int
    inference_ami: str | None = None

    @property
    def id(self) -> str:
        """The engine's id, which no later build takes away."""
        return str(self.facts["Id"])


def find_image(name: str, reference: str, inference_ami: str | None = None) -> LocalImage:
    """The image of a local reference; see `LocalImage`.

    Raises:
        ToolkitError: it is not on this machine.
    """
    facts = docker.inspect_image(reference)
    if facts is None:
        is_ours = reference.startswith(f"{LOCAL_NAMESPACE}/")
        cure = f"./build.py build {name}" if is_ours else f"docker pull {reference}"
        raise ToolkitError(f"there is no image {reference} on this machine.", cure)
    return LocalImage(name, reference, facts, docker.unpacked_size(reference), inference_ami)


def check_image(image: LocalImage, is_serverless: bool) -> None:
    """See that SageMaker takes what the image is.

    Args:
        image: to check.
        is_serverless: it is to run on serverless endpoints too, which take no larger ones.

    Raises:
        ToolkitError: it does not.
    """
    platform = f"{image.facts.get('Os')}/{image.facts.get('Architecture')}"
    if platform not in PLATFORMS:
        raise ToolkitError(
            f"{image.reference} is for {platform}; SageMaker runs {' and '.join(PLATFORMS)}.",
            "docker buildx build --platform linux/amd64",
        )
    if is_serverless and image.size > LARGEST:
        raise ToolkitError(
            f"{image.reference} has {image.size:,} bytes unpacked; serverless endpoints take {LARGEST:,}.",
            "Make it smaller, or push it for jobs and instances alone: --no-serverless",
        )
    layers = len(image.facts["RootFS"].get("Layers", []))
    if layers > MOST_LAYERS:
        raise ToolkitError(
            f"{image.reference} has {layers} layers; {MOST_LAYERS} can be pulled.", "Join RUN lines."
        )
    for volume in image.facts.get("Config", {}).get("Volumes") or {}:
        if volume.rstrip("/").startswith("/opt/ml"):  # IMG-19
            raise ToolkitError(
                f"{image.reference} declares VOLUME {volume}, which hides what SageMaker puts there.",
                "Take the line out of the Dockerfile.",
            )
