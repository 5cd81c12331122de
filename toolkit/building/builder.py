"""Carries out a plan: the operating system layer, one bake, and the facts of what came out."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.building import dlc_layer, host_amis, os_layer
from toolkit.building.bake import INTERMEDIATE_LABEL, Surroundings, make_definition
from toolkit.building.images import ROOT, Image
from toolkit.building.plan import Step
from toolkit.building.sources import Sources, from_environment
from toolkit.errors import ToolkitError, WorkError
from toolkit.machine import docker, network

REVISION_VARIABLE = "OPT_ML_REVISION"


@dataclass(frozen=True)
class Built:
    """One image after a build.

    Attributes:
        name: as in the matrix.
        image: local reference.
        digest: the engine's id of the image, `sha256:...`.
        size_mb: unpacked, in MB (1,000,000 bytes).
        budget_mb: what its image.toml allows.
        inference_ami_version: host that an endpoint of it needs for its CUDA; None for any.
    """

    name: str
    image: str
    digest: str
    size_mb: float
    budget_mb: int
    inference_ami_version: str | None = None


def look_around(sources: Sources | None = None) -> Surroundings:
    """Collect what builds take from this machine: proxy, CA bundle, index, wheelhouse, source revision.

    Args:
        sources: where bases are pulled from; None for what the AWS variables say.

    Raises:
        ToolkitError: a variable names a file or folder that is not there.
    """
    bundle = network.find_ca_bundle()
    arguments = network.find_proxies()
    if os.environ.get("PIP_NO_INDEX"):
        arguments["PIP_NO_INDEX"] = "1"
    revision = find_revision()
    return Surroundings(
        ca_bundle=bundle.path if bundle else None,
        index_variable=network.INDEX_VARIABLE if os.environ.get(network.INDEX_VARIABLE) else None,
        wheelhouse=network.find_wheelhouse(),
        arguments=arguments,
        labels={"org.opencontainers.image.revision": revision} if revision else {},
        sources=sources or from_environment(),
    )


def find_revision() -> str:
    """The commit of this checkout, or empty; a machine that has no history is told it by OPT_ML_REVISION."""
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return found or os.environ.get(REVISION_VARIABLE, "")


def execute(steps: Sequence[Step], surroundings: Surroundings, *, no_cache: bool = False) -> list[Built]:
    """Build every image of a plan.

    Raises:
        ToolkitError: no engine, no operating system layer.
        WorkError: a failed build, or an image over its budget.
    """
    if docker.find_engine() is None:
        raise ToolkitError("no Docker engine answers.", "./build.py doctor --fix")
    for step in steps:
        _pull(step.image, surroundings.sources)
    docker.bake(
        make_definition(steps, surroundings),
        [step.image.name for step in steps],
        no_cache=no_cache,
    )
    docker.prune_images(INTERMEDIATE_LABEL)
    built = [_measure(step.image) for step in steps]
    over = [
        f"{one.image} has {one.size_mb:.0f} MB, {one.budget_mb} allowed"
        for one in built
        if one.size_mb > one.budget_mb
    ]
    if over:
        raise WorkError(
            "over the size budget: " + "; ".join(over), "Make it smaller, or raise size_budget_mb."
        )
    return built


def _pull(image: Image, sources: Sources) -> None:
    """Have the layers below a base in the engine; nothing for an image on one of ours."""
    variant = image.variant
    if variant.os:
        os_layer.ensure(variant.os, variant.platform, sources.reference(variant, image.digest))
    elif variant.dlc:
        dlc_layer.ensure(sources.reference(variant, image.digest), variant.platform)


def _measure(image: Image) -> Built:
    facts = docker.inspect_image(image.reference)
    if facts is None:
        raise ToolkitError(f"{image.reference} was built but is not in the engine.", "docker images")
    return Built(
        image.name,
        image.reference,
        facts["Id"],
        docker.unpacked_size(image.reference) / 1e6,
        image.variant.size_budget_mb,
        host_amis.realtime(image.cuda) if image.cuda else None,
    )


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __str__(self) -> str:
        return f"{time.monotonic() - self._start:.1f} s"
