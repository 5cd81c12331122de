"""Hash-pinned locks: which there are and how uv resolves each.

A family's lock holds its own requirements and those of `opt_ml`, for the platform of the variant that names
it. Names in requirements/excludes.txt are left out of the resolution. Wheels that are on no public index, as
PyTorch's without CUDA, are found in the wheelhouse (see `network.find_wheelhouse`).
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from toolkit.building.images import ROOT, matrix
from toolkit.errors import ToolkitError
from toolkit.machine.network import find_wheelhouse

# manylinux_2_28: what the oldest base (Debian 12, Amazon Linux 2023) can load.
UV_PLATFORMS = {"linux/amd64": "x86_64-manylinux_2_28", "linux/arm64": "aarch64-manylinux_2_28"}
IMAGE_PYTHON = "3.11"


@dataclass(frozen=True)
class Lock:
    """One lock file (path from the root of the checkout) and the command that makes it."""

    output: Path
    command: tuple[str, ...]


def find_locks() -> list[Lock]:
    """Every lock of this checkout: the toolkit's, the tests', the wheel builder's, one for each variant."""
    anywhere = ("--universal", "--python-version", "3.11")
    locks = [
        _lock("requirements/toolkit.txt", "pyproject.toml", *anywhere),
        # Into the same environment as the toolkit's own: what both need is one version.
        _lock("requirements/tune.txt", "requirements/tune.in", "-c", "requirements/toolkit.txt", *anywhere),
        _lock("requirements/aws.txt", "requirements/aws.in", "-c", "requirements/toolkit.txt", *anywhere),
        _lock("requirements/dev.txt", "pyproject.toml", "--group", "dev", *anywhere),
        _lock("requirements/sdk-v2.txt", "requirements/sdk-v2.in", *anywhere),
        _lock(
            "requirements/sdk-v3.txt",
            "requirements/sdk-v3.in",
            "--excludes",
            "requirements/sdk-v3-excludes.txt",
            *anywhere,
        ),
        _lock("requirements/fuzz.txt", "requirements/fuzz.in", "entrypoints/pyproject.toml", *anywhere),
        _lock("tests/images/requirements.txt", "tests/images/requirements.in", *anywhere),
        _lock("tests/differential/requirements.txt", "tests/differential/requirements.in", *anywhere),
        _lock("tests/distributed/requirements.txt", "tests/distributed/requirements.in", *anywhere),
        _lock(
            "benchmarks/autogluon/image/requirements.txt",
            "benchmarks/autogluon/image/requirements.in",
            *anywhere,
        ),
        _lock("entrypoints/build-requirements.txt", "entrypoints/build-requirements.in", *anywhere),
    ]
    wheelhouse = find_wheelhouse()
    for image in matrix().values():
        if image.variant.requirements is None:
            continue
        folder = (image.folder / "requirements").relative_to(ROOT)
        stem = image.variant.requirements
        options = [
            "--python-version",
            IMAGE_PYTHON,
            "--python-platform",
            UV_PLATFORMS[image.variant.platform],
        ]
        if (ROOT / folder / "excludes.txt").exists():
            options += ["--excludes", str(folder / "excludes.txt")]
        if wheelhouse:
            options += ["--find-links", str(wheelhouse)]
        locks.append(
            _lock(f"{folder}/{stem}.txt", f"{folder}/{stem}.in", "entrypoints/pyproject.toml", *options)
        )
    return [*locks, *_benchmark_locks()]


def _benchmark_locks() -> list[Lock]:
    """Those of the servers that benchmarks/serving measures, on the model libraries of the ensemble image."""
    folder = Path("benchmarks/serving/requirements")
    options = ["--excludes", str(folder / "excludes.txt")]
    options += ["--python-version", IMAGE_PYTHON, "--python-platform", UV_PLATFORMS["linux/amd64"]]
    locks = []
    for path in sorted((ROOT / folder).glob("*.in"), key=lambda path: (path.stem != "models", path.stem)):
        overrides = folder / f"{path.stem}.overrides"
        more = ["--override", str(overrides)] if (ROOT / overrides).exists() else []
        locks.append(_lock(f"{folder}/{path.stem}.txt", f"{folder}/{path.name}", *options, *more))
    return locks


def resolve(lock: Lock) -> None:
    """Write one lock file.

    Raises:
        ToolkitError: uv found no solution, or is not installed.
    """
    result = subprocess.run(lock.command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ToolkitError(
            f"{lock.output} could not be resolved:\n{result.stderr.strip()}", "make setup lock"
        )


def _lock(output: str, *arguments: str) -> Lock:
    # No header and no index address: a lock says what, not from where.
    options = ("--quiet", "--generate-hashes", "--no-header", "--upgrade", "--output-file", output)
    return Lock(Path(output), (sys.executable, "-m", "uv", "pip", "compile", *arguments, *options))
