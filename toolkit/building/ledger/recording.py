"""Measures an image that was just built, and writes its entry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from toolkit.building.images import Image
from toolkit.building.ledger import entries
from toolkit.building.ledger.entries import Entry, Layer
from toolkit.errors import ToolkitError
from toolkit.machine import docker

# Instructions of a Dockerfile that make a layer; all others only change the image's configuration.
_MAKES_LAYER = ("RUN ", "COPY ", "ADD ", "WORKDIR ")
# `RUN |1 ARGUMENT=value /bin/sh -c command # buildkit`: the builder's words around what the Dockerfile says.
_AROUND_RUN = re.compile(r"^RUN (?:\|\d+ .*?)?/bin/sh -c (.*?)(?: # buildkit)?$", re.DOTALL)


def record(
    image: Image, inputs: Mapping[str, str], *, base: str | None, seconds: float, revision: str
) -> Entry:
    """Write down the image that now has `image.reference`.

    Args:
        image: what was built.
        inputs: from `toolkit.building.ledger.inputs`, read before the build began.
        base: hash of the layers of the image of the matrix that it stands on.
        seconds: of the whole build.
        revision: commit of the checkout, or empty.

    Raises:
        ToolkitError: the engine does not have the image.
    """
    facts = docker.inspect_image(image.reference)
    if facts is None:
        raise ToolkitError(f"{image.reference} was built but is not in the engine.", "docker images")
    known = entries.read(image.name, facts["Id"])
    layers = _layers(image.reference, facts)
    entry = Entry(
        name=image.name,
        reference=image.reference,
        digest=facts["Id"],
        built_at=datetime.now(UTC),
        build_seconds=round(seconds, 1),
        revision=revision,
        inputs=dict(inputs),
        base=base,
        size_bytes=sum(layer.size_bytes for layer in layers),
        layers=layers,
        environment=dict(value.partition("=")[::2] for value in facts["Config"].get("Env") or []),
        labels=facts["Config"].get("Labels") or {},
        # The same digest is the same image: what was found out about it holds.
        packages=known.packages if known else None,
        tests=known.tests if known else [],
    )
    entries.write(entry)
    return entry


def _layers(reference: str, facts: Mapping[str, Any]) -> list[Layer]:
    """The layers with files, lowest first; the engine lists steps and hashes apart."""
    steps = [step for step in docker.image_history(reference) if _makes_layer(step)]
    hashes = facts["RootFS"]["Layers"]
    if len(steps) != len(hashes):
        # Made by a builder that tells its steps otherwise: the hashes are what counts.
        steps = [docker.HistoryStep("", 0)] * len(hashes)
    return [
        Layer(diff_id=diff_id, size_bytes=step.size_bytes, step=_AROUND_RUN.sub(r"RUN \1", step.instruction))
        for diff_id, step in zip(hashes, steps, strict=True)
    ]


def _makes_layer(step: docker.HistoryStep) -> bool:
    return step.size_bytes > 0 or step.instruction.startswith(_MAKES_LAYER)
