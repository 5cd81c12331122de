"""What a repository has of a local image before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from toolkit.errors import ToolkitError
from toolkit.registry.acceptance import find_refusals
from toolkit.registry.client import Manifest
from toolkit.registry.push import Pushed, Target, give_tags

# Parts of an image's configuration that the engine tells as they are in it.
_COMPARED = ("Env", "Cmd", "Entrypoint", "Labels", "User", "WorkingDir")


def tag_present(target: Target, facts: Mapping[str, Any]) -> Pushed | None:
    """Give the image its other tags where it is there under one; None where it has to be sent.

    Args:
        target: where to look.
        facts: of the local image, as `docker image inspect` tells them.

    Raises:
        ToolkitError: a tag that cannot move names another image, or one that SageMaker would refuse.
    """
    same: Manifest | None = None
    for tag in target.tags:
        found = target.registry.get_manifest(target.repository, tag)
        if found is None:
            continue
        problem = _problem(target, found, facts, tag in target.fixed)
        if problem is None:
            same = same or found
        elif tag in target.fixed:
            raise ToolkitError(
                f"{target.registry.host}/{target.repository}:{tag} cannot be overwritten, and {problem}.",
                "Choose another with --tag.",
            )
    if same is None:
        return None
    manifest = json.loads(same.body)
    size = sum(one["size"] for one in (manifest["config"], *manifest["layers"]))
    return Pushed(target, give_tags(target, same.body), size, 0)


def _problem(target: Target, found: Manifest, facts: Mapping[str, Any], is_fixed: bool) -> str | None:
    """Why a manifest does not do for the local image."""
    refusals = find_refusals(found.media_type, found.body)
    if refusals:
        return f"SageMaker would refuse it: {refusals[0].cause.removesuffix('.')}"
    digest = json.loads(found.body)["config"]["digest"]
    if digest == facts["Id"]:
        return None
    # An engine that keeps images in containerd names them otherwise. A tag that moves is given anew without a
    # look, which takes a permission of its own (ecr:GetDownloadUrlForLayer).
    configuration = target.registry.get_blob(target.repository, digest) if is_fixed else None
    if configuration is None or not _is_same(json.loads(configuration), facts):
        return "it is another image"
    return None


def _is_same(configuration: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    theirs, ours = configuration.get("config") or {}, facts.get("Config") or {}
    return configuration["rootfs"]["diff_ids"] == facts["RootFS"]["Layers"] and all(
        (theirs.get(key) or None) == (ours.get(key) or None) for key in _COMPARED
    )
