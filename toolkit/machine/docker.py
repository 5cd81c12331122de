"""The docker command line: the state of the engine, and images.

The only place that talks to Docker, with `buildx`, which builds them, `image_stream`, and
`toolkit.machine.containers`, which runs them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from toolkit.errors import ToolkitError

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # the kernel's words, and those of images


@dataclass(frozen=True)
class Engine:
    """What `docker info` says of a running engine.

    Attributes:
        version: such as `26.1.5`.
        architecture: such as `x86_64`.
        storage: storage driver; `overlayfs` is the containerd image store, which makes OCI manifests.
        root: the engine's data directory, or None where it lies on another machine.
    """

    version: str
    architecture: str
    storage: str
    root: Path | None

    @property
    def exports_cache(self) -> bool:
        """True where its builder can write its cache elsewhere than into an image."""
        return self.storage == "overlayfs"

    @property
    def platform(self) -> str:
        """What it runs without an emulator, such as `linux/amd64`."""
        return f"linux/{_ARCHITECTURES.get(self.architecture, self.architecture)}"


def find_client() -> str | None:
    """Path of the docker client, or None."""
    return shutil.which("docker")


def find_engine() -> Engine | None:
    """The engine that the docker client reaches, or None when there is no client or no answer."""
    if not find_client():
        return None
    result = _run(["docker", "info", "--format", "{{json .}}"])
    try:
        info = json.loads(result.stdout)
    except ValueError:
        return None
    if not info.get("ServerVersion"):
        return None
    root = Path(info.get("DockerRootDir") or "/var/lib/docker")
    return Engine(
        version=info["ServerVersion"],
        architecture=info.get("Architecture", ""),
        storage=info.get("Driver", ""),
        root=root if root.is_dir() else None,
    )


def why_no_engine() -> str:
    """What the docker client says when no engine answers; empty when it says nothing."""
    lines = _run(["docker", "info", "--format", "{{.ServerVersion}}"]).stderr.strip().splitlines()
    return lines[-1] if lines else ""


def plugin_version(name: str) -> str | None:
    """Version text of a client plugin (`buildx`, `compose`), or None when it is not installed."""
    result = _run(["docker", name, "version"])
    if result.returncode:
        return None
    words = [word for word in result.stdout.split() if word.lstrip("v")[:1].isdigit()]
    return words[0].lstrip("v") if words else result.stdout.strip()


def inspect_image(reference: str) -> dict[str, Any] | None:
    """`docker image inspect` of a local image, or None when it is not there."""
    result = _run(["docker", "image", "inspect", reference])
    if result.returncode:
        return None
    images: list[dict[str, Any]] = json.loads(result.stdout)
    return images[0]


@dataclass(frozen=True)
class LocalImage:
    """An image that the engine has.

    Attributes:
        digest: `sha256:...`, the engine's id: the hash of its configuration.
        layers: one hash for all its layers; the same where only labels or dates differ.
    """

    digest: str
    layers: str


def local_images(references: Sequence[str]) -> dict[str, LocalImage]:
    """Those of `references` that the engine has; one call for all."""
    if not references:
        return {}
    # The engine fails for those that it does not have, and still tells of the others.
    template = "[{{json .Id}},{{json .RepoTags}},{{json .RepoDigests}},{{json .RootFS.Layers}}]"
    result = _run(["docker", "image", "inspect", "--format", template, *references])
    found: dict[str, LocalImage] = {}
    for line in result.stdout.splitlines():
        digest, tags, digests, layers = json.loads(line)
        image = LocalImage(digest, "sha256:" + hashlib.sha256("".join(layers).encode()).hexdigest())
        found |= dict.fromkeys([*(tags or []), *(digests or [])], image)
    return {reference: found[reference] for reference in references if reference in found}


@dataclass(frozen=True)
class HistoryStep:
    """One instruction that an image was made by, and the bytes that it added, unpacked."""

    instruction: str
    size_bytes: int


def image_history(reference: str) -> list[HistoryStep]:
    """How a local image was made, lowest step first.

    Raises:
        ToolkitError: the engine does not have it.
    """
    template = "{{.Size}} {{.CreatedBy}}"
    result = _run(["docker", "history", "--no-trunc", "--human=false", "--format", template, reference])
    _check(result, f"the layers of {reference} could not be listed")
    pairs = [line.partition(" ") for line in result.stdout.splitlines()]
    return [HistoryStep(instruction.strip(), int(size)) for size, _, instruction in reversed(pairs)]


def unpacked_size(reference: str) -> int:
    """Bytes of a local image's layers, unpacked.

    `docker image inspect` tells the packed size where the engine keeps images in containerd.
    """
    return sum(step.size_bytes for step in image_history(reference))


def pull_image(reference: str, platform: str) -> str | None:
    """Pull an image quietly. Returns None when it is there now, else the engine's words."""
    result = _run(["docker", "pull", "--quiet", "--platform", platform, reference])
    return result.stderr.strip() if result.returncode else None


def manifest_digest(reference: str) -> str:
    """The digest that a tag has in its registry; nothing is pulled.

    Raises:
        ToolkitError: the registry gives no answer, or has no such tag.
    """
    result = _run(["docker", "buildx", "imagetools", "inspect", "--format", "{{json .Manifest}}", reference])
    if result.returncode:
        reason = result.stderr.strip().splitlines()[-1].removeprefix("ERROR: ").rpartition('": ')[2]
        cure = "--registry HOST names a mirror; `docker login HOST` signs in."
        raise ToolkitError(f"{reference} gave no answer ({reason}).", cure)
    return str(json.loads(result.stdout)["digest"])


def log_in(host: str, username: str, password: str) -> None:
    """Sign the docker client in to a registry; the password goes by standard input.

    Raises:
        ToolkitError: the registry refuses.
    """
    command = ["docker", "login", "--username", username, "--password-stdin", host]
    result = subprocess.run(command, input=password, capture_output=True, text=True, check=False)
    _check(result, f"signing in to {host} failed")


def run_program(reference: str, *command: str) -> str:
    """What a program of an image prints; without network, and without the image's entrypoint.

    Raises:
        ToolkitError: it failed.
    """
    program, *arguments = command
    line = ["docker", "run", "--rm", "--network", "none", "--entrypoint", program, reference, *arguments]
    result = _run(line)
    _check(result, f"`{' '.join(command)}` in {reference} failed")
    return result.stdout


def tag_image(source: str, target: str) -> None:
    """Give a local image a second name."""
    _check(_run(["docker", "tag", source, target]), f"{source} could not be tagged as {target}")


def import_image(archive: IO[bytes], reference: str, platform: str, changes: Sequence[str]) -> None:
    """Make a one-layer image from a root file system.

    Args:
        archive: an uncompressed tar stream.
        reference: the image's name.
        platform: such as `linux/amd64`.
        changes: Dockerfile instructions for its configuration.
    """
    command = ["docker", "import", "--platform", platform]
    for change in changes:
        command += ["--change", change]
    result = subprocess.run(
        [*command, "-", reference], stdin=archive, capture_output=True, text=True, check=False
    )
    _check(result, f"{reference} could not be imported")


def save_image(reference: str, archive: Path) -> None:
    """Write a local image, with all its layers, into a tar file.

    Raises:
        ToolkitError: the engine does not have it, or the disk is full.
    """
    _check(_run(["docker", "save", "--output", str(archive), reference]), f"{reference} could not be saved")


def remove_images(references: Sequence[str]) -> None:
    """Take names from local images; an image without another one goes. One that is not there is no error."""
    _run(["docker", "image", "rm", *references])


def prune_images(label: str) -> None:
    """Remove untagged images with `label`; the build cache keeps their layers."""
    _run(["docker", "image", "prune", "--force", "--filter", f"label={label}"])


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", f"{command[0]} is not installed")


def _check(result: subprocess.CompletedProcess[str], message: str) -> None:
    if result.returncode:
        raise ToolkitError(f"{message}: {result.stderr.strip()}", "./build.py doctor")
