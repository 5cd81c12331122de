"""A plan as a docker-bake definition: pure data, and valid for SageMaker by construction.

Every target: no attestations and no annotations, which would turn the image into an OCI index that
CreateModel refuses (IMG-01, IMG-02); one declared platform (IMG-06).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit.building.images import CONTAINERS, ROOT, Image
from toolkit.building.plan import Step
from toolkit.building.sources import Sources
from toolkit.namespace import LOCAL_NAMESPACE

WHEEL_BUILDER = "wheel-builder"
ENTRYPOINTS = "entrypoints"
# buildx writes an untagged image for a target that only serves others; `docker.prune_images` goes by this.
INTERMEDIATE_LABEL = "opt-ml.intermediate"
END_OF_LIFE_LABEL = "opt-ml.end-of-life"


@dataclass(frozen=True)
class Surroundings:
    """What a build takes from this machine; see `toolkit.machine.network`.

    Attributes:
        ca_bundle: file handed over as the secret `ca`.
        index_variable: environment variable whose value is the secret `pip_index`.
        wheelhouse: folder handed over as the named context `wheelhouse`.
        weights: folder of pretrained weights, handed over as the named context `pretrained`.
        arguments: build arguments: proxies and the date of images, which BuildKit knows, or PIP_NO_INDEX.
        labels: labels of every image, such as the source revision.
        sources: where bases are pulled from.
        registry_caches: references of pushed images whose layers are pulled where nothing of them changed;
            the images that are built carry what the next build needs for that.
        local_cache: folder that keeps the build cache, with the steps of all stages.
    """

    ca_bundle: Path | None = None
    index_variable: str | None = None
    wheelhouse: Path | None = None
    weights: Path | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    sources: Sources = field(default_factory=Sources)
    registry_caches: tuple[str, ...] = ()
    local_cache: Path | None = None


def os_reference(release: str, platform: str = "linux/amd64") -> str:
    """Local name of the operating system layer of a Debian release: the same for every checkout."""
    architecture = platform.rpartition("/")[2]
    return f"opt-ml/os:{release}" + ("" if architecture == "amd64" else f"-{architecture}")


def make_definition(steps: Sequence[Step], surroundings: Surroundings) -> dict[str, Any]:
    """The bake definition for `steps`, and for the wheels that they need."""
    targets: dict[str, Any] = {}
    for step in steps:
        targets[step.image.name] = _image_target(step.image, surroundings)
        base = step.image.variant.base
        if base:
            targets |= _wheel_targets(base, step.image.variant.platform, surroundings)
    if surroundings.local_cache:
        keep_cache(targets, surroundings.local_cache)
    return {"target": targets}


def keep_cache(targets: Mapping[str, Any], folder: Path) -> None:
    """Let targets read their cache from `folder`, and write it there, each to its own place."""
    for name, target in targets.items():
        place = folder / name
        target["cache-to"] = [*target.get("cache-to", ()), f"type=local,dest={place},mode=max"]
        if (place / "index.json").exists():
            target["cache-from"] = [*target.get("cache-from", ()), f"type=local,src={place}"]


def make_test_definition(image: Image, surroundings: Surroundings) -> dict[str, Any]:
    """`image` with a test runner on top, for the tests that run inside it; built from tests/images."""
    target = _target(ROOT / "tests" / "images", image.variant.platform, surroundings)
    target["contexts"]["base"] = f"docker-image://{image.reference}"
    target["tags"] = [test_reference(image)]
    target["output"] = ["type=docker"]
    return {"target": {f"{image.name}-test": target}}


def test_reference(image: Image) -> str:
    """Local reference of `image` with a test runner on top."""
    return f"{LOCAL_NAMESPACE}/{image.name}:test"


def _image_target(image: Image, surroundings: Surroundings) -> dict[str, Any]:
    variant = image.variant
    target = _target(image.folder, variant.platform, surroundings)
    if variant.os:
        target["contexts"]["os"] = f"docker-image://{os_reference(variant.os.release, variant.platform)}"
    if variant.dlc:
        reference = surroundings.sources.reference(variant, image.digest)
        target["contexts"]["dlc"] = f"docker-image://{reference}"
    if variant.base:
        target["contexts"] |= {
            "base": f"target:{variant.base}",
            ENTRYPOINTS: f"target:{_suffixed(ENTRYPOINTS, variant.base)}",
            WHEEL_BUILDER: f"target:{_suffixed(WHEEL_BUILDER, variant.base)}",
        }
    if image.lock:
        target["args"]["REQUIREMENTS"] = image.lock
    target["labels"] = {
        "org.opencontainers.image.title": image.name,
        "org.opencontainers.image.description": image.summary,
        **({END_OF_LIFE_LABEL: image.end_of_life} if image.end_of_life else {}),
        **image.labels,
        **surroundings.labels,
    }
    if variant.dlc:
        name, _, digest = surroundings.sources.reference(variant, image.digest).partition("@")
        target["labels"]["org.opencontainers.image.base.name"] = name
        if digest:
            target["labels"]["org.opencontainers.image.base.digest"] = digest
    target["tags"] = [image.reference]
    target["output"] = ["type=docker"]
    if surroundings.registry_caches:
        # The one kind of cache that the engine's own builder can hand on, and a push takes along.
        target["cache-to"] = ["type=inline"]
    return target


def _wheel_targets(base: str, platform: str, surroundings: Surroundings) -> dict[str, Any]:
    """The `opt_ml` wheel and its build stage, made with the Python of `base`."""
    stages = {WHEEL_BUILDER: "builder", ENTRYPOINTS: "entrypoints"}
    targets = {}
    for name, stage in stages.items():
        target = _target(ROOT / "entrypoints", platform, surroundings)
        target["contexts"]["base"] = f"target:{base}"
        target["target"] = stage
        target["labels"] = {INTERMEDIATE_LABEL: "true"}
        targets[_suffixed(name, base)] = target
    return targets


def _target(folder: Path, platform: str, surroundings: Surroundings) -> dict[str, Any]:
    secrets = []
    if surroundings.ca_bundle:
        secrets.append(f"id=ca,src={surroundings.ca_bundle}")
    if surroundings.index_variable:
        secrets.append(f"id=pip_index,env={surroundings.index_variable}")
    contexts = {"shared": str(CONTAINERS / "shared")}
    if surroundings.wheelhouse:
        contexts["wheelhouse"] = str(surroundings.wheelhouse)
    if surroundings.weights:
        contexts["pretrained"] = str(surroundings.weights)
    return {
        "context": str(folder),
        "contexts": contexts,
        "platforms": [platform],
        "args": dict(surroundings.arguments),
        "secret": secrets,
        "attest": ["type=provenance,disabled=true", "type=sbom,disabled=true"],
        "cache-from": [f"type=registry,ref={reference}" for reference in surroundings.registry_caches],
    }


def _suffixed(name: str, base: str) -> str:
    return f"{name}-{base}"
