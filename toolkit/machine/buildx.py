"""The engine's own builder: one bake for all images, and the platforms that it builds for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.errors import WorkError
from toolkit.machine import docker

# Bytes that are left after a failed build. The engine has taken away by then what the last step had written.
_LITTLE = 2_000_000_000


def bake(
    definition: Mapping[str, Any],
    targets: Sequence[str],
    *,
    no_cache: bool = False,
) -> dict[str, Any]:
    """Run one `docker buildx bake`, with its own progress display on standard error.

    Args:
        definition: the bake file, as `toolkit.building.bake` makes it.
        targets: names of targets to build; bake adds and orders what they need.
        no_cache: build every step anew.

    Returns:
        bake's metadata: target name to digests and media types.

    Raises:
        WorkError: the build failed; its own output has told why.
    """
    with tempfile.TemporaryDirectory(prefix="bake-") as scratch:
        bake_file = Path(scratch) / "docker-bake.json"
        metadata_file = Path(scratch) / "metadata.json"
        bake_file.write_text(json.dumps(definition, indent=2), encoding="utf-8")
        command = [
            "docker",
            "buildx",
            "bake",
            "--builder",
            _builder(),
            "--file",
            str(bake_file),
            "--metadata-file",
            str(metadata_file),
        ]
        if no_cache:
            command.append("--no-cache")
        # From 0.20 on buildx asks before it reads outside of the working directory, and the contexts, the
        # CA bundle and the wheelhouse lie there; 0.13 has no flag for it, and passes over the variable.
        environment = {**os.environ, "BUILDX_BAKE_ENTITLEMENTS_FS": "0"}
        result = subprocess.run([*command, *targets], env=environment, check=False)
        if result.returncode:
            raise WorkError(
                f"the build of {', '.join(targets)} failed; the failing step is shown above.", _cure()
            )
        metadata: dict[str, Any] = json.loads(metadata_file.read_text(encoding="utf-8"))
        return metadata


def _cure() -> str:
    """What helps after a failed build: room on the disk, where it has little, or a look at the network."""
    engine = docker.find_engine()
    free = shutil.disk_usage(engine.root).free if engine and engine.root else _LITTLE
    if engine and free < _LITTLE:
        return f"{engine.root} has {free / 1e6:.0f} MB left: `docker system df`, `docker builder prune`."
    return "Network or TLS trouble? `./build.py doctor` shows what the build sees."


def platforms() -> list[str]:
    """What the builder runs: the machine's own platform, and those that the kernel has an emulator for."""
    said = _run("docker", "buildx", "inspect", _builder())
    lines = [line.partition(":")[2] for line in said.splitlines() if line.startswith("Platforms:")]
    return [name.strip(" *") for line in lines for name in line.split(",") if name.strip()]


def _builder() -> str:
    """The builder inside the engine, which has its context's name.

    A builder in a container of its own (`docker buildx create --use`) does not see the engine's images, and
    the operating system layer is one.
    """
    return _run("docker", "context", "show").strip() or "default"


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
