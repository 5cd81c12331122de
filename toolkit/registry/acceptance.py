"""Which manifests SageMaker takes: pure, over what a registry answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"  # IMG-01
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"  # IMG-04
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
# A registry may translate into what is asked for: all forms are asked for, so that it answers what it has.
ANY_MANIFEST = ", ".join((MANIFEST, OCI_MANIFEST, MANIFEST_LIST, OCI_INDEX))

_PUSH_AGAIN = (
    "docker pull REFERENCE && ./build.py push REFERENCE --repository NAME sends it as Docker schema 2."
)


@dataclass(frozen=True)
class Refusal:
    """Why SageMaker would refuse an image.

    Attributes:
        cause: names the media type.
        cure: the command that helps.
    """

    cause: str
    cure: str = _PUSH_AGAIN


def find_refusals(content_type: str, body: bytes) -> list[Refusal]:
    """Why CreateModel would refuse a manifest; empty where it would not.

    Args:
        content_type: of the registry's answer, which is what ECR calls imageManifestMediaType (IMG-03).
        body: of the answer.
    """
    media_type = content_type.partition(";")[0].strip()
    if media_type == OCI_INDEX:
        return [
            Refusal(f"the manifest is an OCI index ({media_type}): an image with attestations or platforms.")
        ]
    if media_type != MANIFEST:
        return [Refusal(f"the manifest is {media_type or 'of no type'}; SageMaker takes {MANIFEST}.")]
    manifest = _parse(body)
    if manifest is None or not manifest.get("layers"):
        return [Refusal("the manifest is no JSON object with layers.")]
    return [*_wrong_config(manifest), *_wrong_layers(manifest)]


def _parse(body: bytes) -> dict[str, Any] | None:
    try:
        manifest = json.loads(body)
    except ValueError:
        return None
    return manifest if isinstance(manifest, dict) else None


def _wrong_config(manifest: Mapping[str, Any]) -> list[Refusal]:
    media_type = manifest.get("config", {}).get("mediaType")
    return [] if media_type == CONFIG else [Refusal(f"the configuration is {media_type}; wanted {CONFIG}.")]


def _wrong_layers(manifest: Mapping[str, Any]) -> list[Refusal]:
    wrong = {layer.get("mediaType") for layer in manifest["layers"]} - {LAYER}
    return [Refusal(f"a layer is {media_type}; wanted {LAYER}.") for media_type in sorted(map(str, wrong))]
