"""Builds ensemble-cpu with the AWS toolkit and a test runner on top."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from toolkit.building import bake, builder, images
from toolkit.machine import buildx
from toolkit.namespace import LOCAL_NAMESPACE

IMAGE = f"{LOCAL_NAMESPACE}/ensemble-cpu:differential"


def build_toolkit_image() -> str:
    """The reference of the image, built on what `build.py build ensemble-cpu` built last."""
    return build_on("ensemble-cpu", Path(__file__).parent, IMAGE)


def build_on(
    base: str,
    folder: Path,
    reference: str,
    arguments: Mapping[str, str] | None = None,
    contexts: Mapping[str, str] | None = None,
) -> str:
    """Build the Dockerfile of `folder` on one of our images, its context `base`; returns `reference`."""
    image = images.matrix()[base]
    definition = bake.make_test_definition(image, builder.look_around())
    (target,) = definition["target"].values()
    target["context"], target["tags"] = str(folder), [reference]
    target["args"] |= arguments or {}
    target["contexts"] |= contexts or {}
    buildx.bake(definition, list(definition["target"]))
    return reference
