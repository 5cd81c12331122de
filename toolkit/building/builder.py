"""Carries out a plan: the operating system layer, one bake, and the facts of what came out."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.building import dlc_layer, host_amis, os_layer
from toolkit.building.bake import INTERMEDIATE_LABEL, Surroundings, make_definition
from toolkit.building.images import Image, find
from toolkit.building.ledger import entries
from toolkit.building.ledger.freshness import State, states
from toolkit.building.ledger.recording import record
from toolkit.building.plan import Step
from toolkit.building.revision import EPOCH_VARIABLE, find_revision
from toolkit.building.sources import Sources, from_environment
from toolkit.errors import ToolkitError, WorkError
from toolkit.machine import buildx, docker, network
from toolkit.registry.tags import REVISION_LABEL


@dataclass(frozen=True)
class Built:
    """One image after a build.

    Attributes:
        name: as in the matrix.
        image: local reference.
        digest: the engine's id of the image, `sha256:...`.
        size_mb: unpacked, in MB (1,000,000 bytes).
        budget_mb: what its image.toml allows.
        is_new: False where the image was there already, as a build would make it.
        inference_ami_version: host that an endpoint of it needs for its CUDA; None for any.
    """

    name: str
    image: str
    digest: str
    size_mb: float
    budget_mb: int
    is_new: bool
    inference_ami_version: str | None = None


def look_around(
    sources: Sources | None = None, registry_caches: Sequence[str] = (), local_cache: Path | None = None
) -> Surroundings:
    """Collect what builds take from this machine: proxy, CA bundle, index, wheelhouse, weights, revision.

    Args:
        sources: where bases are pulled from; None for what the AWS variables say.
        registry_caches: see `Surroundings`.
        local_cache: see `Surroundings`.

    Raises:
        ToolkitError: a variable names a file or folder that is not there, or no date.
    """
    bundle = network.find_ca_bundle()
    arguments = network.find_proxies()
    if os.environ.get("PIP_NO_INDEX"):
        arguments["PIP_NO_INDEX"] = "1"
    revision = find_revision()
    if revision.epoch:
        arguments[EPOCH_VARIABLE] = revision.epoch
    return Surroundings(
        ca_bundle=bundle.path if bundle else None,
        index_variable=network.INDEX_VARIABLE if os.environ.get(network.INDEX_VARIABLE) else None,
        wheelhouse=network.find_wheelhouse(),
        weights=network.find_weights(),
        arguments=arguments,
        labels={REVISION_LABEL: revision.commit} if revision.commit else {},
        sources=sources or from_environment(),
        registry_caches=tuple(registry_caches),
        local_cache=local_cache.resolve() if local_cache else None,
    )


def execute(steps: Sequence[Step], surroundings: Surroundings, *, no_cache: bool = False) -> list[Built]:
    """Build every image of a plan that is not there already as a build would make it.

    Args:
        steps: the plan.
        surroundings: from `look_around`.
        no_cache: build all of it, every step anew.

    Raises:
        ToolkitError: no engine, one that cannot run an image's platform, or no operating system layer.
        WorkError: a failed build, or an image over its budget.
    """
    engine = docker.find_engine()
    if engine is None:
        raise ToolkitError("no Docker engine answers.", "./build.py doctor --fix")
    if surroundings.local_cache and not engine.exports_cache:
        raise ToolkitError(
            f"this engine ({engine.version}, {engine.storage}) writes its build cache to no folder.",
            "Leave out --local-cache: it keeps the cache itself. Engines with images in containerd write it.",
        )
    _check_platforms([step.image for step in steps], engine.platform)
    for step in steps:
        _pull(step.image, surroundings.sources)
    before = states([step.image for step in steps])
    waiting = [state for state in before if no_cache or not state.is_fresh]
    if waiting:
        start = time.monotonic()
        # With what they stand on, so that each is on the very base that has the name afterwards.
        needed = {name for state in waiting for name in (state.image.name, *state.image.bases)}
        waiting = [state for state in before if state.image.name in needed]
        names = [state.image.name for state in waiting]
        buildx.bake(make_definition(steps, surroundings), names, no_cache=no_cache)
        docker.prune_images(INTERMEDIATE_LABEL)
        _record(waiting, time.monotonic() - start, surroundings)
    built = [_measure(state.image, is_new=state in waiting) for state in before]
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


def _check_platforms(images: Sequence[Image], own: str) -> None:
    """Refuse what the engine could not run: a build of it fails at its first step, in words of the kernel."""
    foreign = [image for image in images if image.variant.platform != own]
    runs = buildx.platforms() if foreign else []
    for image in foreign:
        platform = image.variant.platform
        if platform not in runs:
            emulator = f"docker run --privileged --rm tonistiigi/binfmt --install {platform[6:]}"
            raise ToolkitError(
                f"{image.name} is for {platform}; this engine runs {own}, and has no emulator for it.",
                f"A machine of that kind: ./build.py remote {image.name}. An emulator: {emulator}",
            )


def _pull(image: Image, sources: Sources) -> None:
    """Have the layers below a base in the engine; nothing for an image on one of ours."""
    variant = image.variant
    if variant.os:
        os_layer.ensure(variant.os, variant.platform, sources.reference(variant, image.digest))
    elif variant.dlc:
        dlc_layer.ensure(sources.reference(variant, image.digest), variant.platform)


def _record(built: Sequence[State], seconds: float, surroundings: Surroundings) -> None:
    # The inputs were read before the build: a file that is saved meanwhile makes the image stale, not fresh.
    for state in built:
        base = state.image.variant.base
        record(
            state.image,
            state.inputs,
            base=_local(find(base)).layers if base else None,
            seconds=seconds,
            revision=surroundings.labels.get(REVISION_LABEL, ""),
        )


def _measure(image: Image, *, is_new: bool) -> Built:
    entry = entries.read(image.name, _local(image).digest)
    assert entry is not None  # noqa: S101 - `execute` recorded it, or read it
    return Built(
        image.name,
        image.reference,
        entry.digest,
        entry.size_bytes / 1e6,
        image.variant.size_budget_mb,
        is_new,
        host_amis.realtime(image.cuda) if image.cuda else None,
    )


def _local(image: Image) -> docker.LocalImage:
    present = docker.local_images([image.reference])
    if image.reference not in present:
        raise ToolkitError(f"{image.reference} was built but is not in the engine.", "docker images")
    return present[image.reference]


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __str__(self) -> str:
        return f"{time.monotonic() - self._start:.1f} s"
