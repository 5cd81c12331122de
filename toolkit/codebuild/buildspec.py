"""Buildspecs as data, written as JSON, which is YAML: no text of a user is ever pasted into one unquoted.

A failed phase ends the build (`on-failure: ABORT`). CodeBuild would go on from build to post_build, and the
last error in the log were the push of an image that was not built (CB-12).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.codebuild.context import TAR_NAME

# What a build hands back through BatchGetBuilds.
URIS_VARIABLE = "OPT_ML_IMAGE_URIS"
_URIS_FILE = ".build/image-uris.txt"
_PYTHON = "3.12"

Phases = Mapping[str, Sequence[str]]


def of_images(images: Sequence[str], build: Sequence[str], push: Sequence[str], curated: bool) -> str:
    """The buildspec that runs `build.py build` and `build.py push` as a person would.

    Args:
        images: names of the matrix.
        build: further arguments of `build.py build`.
        push: further arguments of `build.py push`.
        curated: whether the build runs in an image of CodeBuild's own, which has several Pythons to choose
            from.
    """
    phases = {
        "install": [
            *unpack(),
            "python3 toolkit/bootstrap.py requirements/toolkit.txt",
        ],
        "build": [shlex.join(["./build.py", "build", *images, *build])],
        "post_build": [
            "mkdir -p .build",
            shlex.join(["./build.py", "push", *images, *push, "--write", _URIS_FILE]),
            f'export {URIS_VARIABLE}="$(cat {_URIS_FILE})"',
        ],
    }
    return write(phases, python=_PYTHON if curated else None, exported=[URIS_VARIABLE])


def unpack() -> list[str]:
    """The commands that turn the archive of `toolkit.codebuild.context` into the directory it was made of."""
    return [f"tar --extract --no-same-owner --file {TAR_NAME}", f"rm {TAR_NAME}"]


def write(phases: Phases, *, python: str | None = None, exported: Sequence[str] = ()) -> str:
    """The text of a buildspec.

    Args:
        phases: `install`, `pre_build`, `build`, `post_build` to their commands.
        python: version of CodeBuild's own Python to choose.
        exported: variables that the build hands back.
    """
    specified: dict[str, Any] = {
        name: {"on-failure": "ABORT", "commands": list(commands)} for name, commands in phases.items()
    }
    if python:
        specified["install"]["runtime-versions"] = {"python": python}
    env = {"exported-variables": list(exported)} if exported else {}
    return json.dumps({"version": 0.2, **({"env": env} if env else {}), "phases": specified}, indent=2)
