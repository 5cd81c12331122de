"""Buildspecs as data, written as JSON, which is YAML: no text of a user is ever pasted into one unquoted.

A failed phase ends the build (`on-failure: ABORT`). CodeBuild would go on from build to post_build, and the
last error in the log were the push of an image that was not built (CB-12).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.building.revision import Revision
from toolkit.codebuild.context import TAR_NAME

# What a build hands back through BatchGetBuilds.
URIS_VARIABLE = "OPT_ML_IMAGE_URIS"
_URIS_FILE = ".build/image-uris.txt"
_PYTHON = "3.12"

Phases = Mapping[str, Sequence[str]]


def of_images(
    images: Sequence[str],
    build: Sequence[str],
    push: Sequence[str],
    *,
    curated: bool,
    revision: Revision | None = None,
    before: Sequence[str] = (),
) -> str:
    """The buildspec that runs `build.py build` and `build.py push` as a person would.

    Args:
        images: names of the matrix.
        build: further arguments of `build.py build`.
        push: further arguments of `build.py push`.
        curated: whether the build runs in an image of CodeBuild's own, which has several Pythons to choose
            from.
        revision: what was sent; None where nobody knows it.
        before: commands before the build.
    """
    phases = {
        "install": [
            *unpack(),
            "python3 toolkit/bootstrap.py requirements/toolkit.txt",
        ],
        "pre_build": before,
        "build": [shlex.join(["./build.py", "build", *images, *build])],
        "post_build": [
            "mkdir -p .build",
            shlex.join(["./build.py", "push", "--no-build", *images, *push, "--write", _URIS_FILE]),
            f'export {URIS_VARIABLE}="$(cat {_URIS_FILE})"',
        ],
    }
    variables = revision.as_variables() if revision else {}
    return write(phases, python=_PYTHON if curated else None, exported=[URIS_VARIABLE], variables=variables)


def unpack() -> list[str]:
    """The commands that turn the archive of `toolkit.codebuild.context` into the directory it was made of.

    Files get the time at which they are unpacked. In the archive all have the same one, and BuildKit, where
    it keeps a cache, takes a file of the same time and size for the one that it has.
    """
    return [f"tar --extract --no-same-owner --touch --file {TAR_NAME}", f"rm {TAR_NAME}"]


def write(
    phases: Phases,
    *,
    python: str | None = None,
    exported: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
) -> str:
    """The text of a buildspec.

    Args:
        phases: `install`, `pre_build`, `build`, `post_build` to their commands.
        python: version of CodeBuild's own Python to choose.
        exported: variables that the build hands back.
        variables: of the build's environment.
    """
    specified: dict[str, Any] = {
        name: {"on-failure": "ABORT", "commands": list(commands)}
        for name, commands in phases.items()
        if commands
    }
    if python:
        specified["install"]["runtime-versions"] = {"python": python}
    env = {"variables": dict(variables or {}), "exported-variables": list(exported)}
    given = {name: value for name, value in env.items() if value}
    return json.dumps({"version": 0.2, **({"env": given} if given else {}), "phases": specified}, indent=2)
