"""Hash-pinned locks: which there are and how uv resolves each.

A family's lock holds its own requirements and those of `opt_ml`, for the platform and the Python of the
variant that names it. On a Deep Learning Container it has, wherever they fit, the versions that the container
brings: pip then finds them installed, and leaves them as they are. Names in requirements/excludes.txt (for
VARIANT.in in excludes-VARIANT.txt, where there is one), and on such a base in excludes-dlc.txt, are left out
of the resolution. Wheels that are on no public index, as PyTorch's without CUDA, are found in the wheelhouse
(see `network.find_wheelhouse`).
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.building.images import CONTAINERS, FILE, ROOT, TEMPLATE_FILE, Image, load, matrix
from toolkit.errors import ToolkitError
from toolkit.machine.network import find_wheelhouse

# manylinux_2_28: what the oldest base (Debian 12, Amazon Linux 2023) can load.
UV_PLATFORMS = {"linux/amd64": "x86_64-manylinux_2_28", "linux/arm64": "aarch64-manylinux_2_28"}
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True)
class Lock:
    """One lock file and the command that makes it.

    Attributes:
        output: path from the root of the checkout.
        command: uv's, run there.
        preferred: list of the versions to take wherever they fit, or None for the newest.
    """

    output: Path
    command: tuple[str, ...]
    preferred: Path | None = None


def find_locks() -> list[Lock]:
    """Every lock of this checkout: the toolkit's, the tests', the wheel builder's, one for each variant."""
    anywhere = ("--universal", "--python-version", "3.11")
    locks = [
        _lock("requirements/toolkit.txt", "pyproject.toml", *anywhere),
        # Into the same environment as the toolkit's own: what both need is one version.
        _lock("requirements/tune.txt", "requirements/tune.in", "-c", "requirements/toolkit.txt", *anywhere),
        _lock("requirements/aws.txt", "requirements/aws.in", "-c", "requirements/toolkit.txt", *anywhere),
        _lock(
            "requirements/audit.txt",
            "requirements/audit.in",
            *("-c", "requirements/toolkit.txt", "-c", "requirements/dev.txt"),
            *anywhere,
        ),
        _lock("requirements/dev.txt", "pyproject.toml", "--group", "dev", *anywhere),
        _lock("requirements/verify.txt", "requirements/verify.in", "-c", "requirements/dev.txt", *anywhere),
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
    locks += [_image_lock(image, wheelhouse) for image in all_images().values() if image.lock]
    return [*locks, *_benchmark_locks(), *_peer_locks()]


def _image_lock(image: Image, wheelhouse: Path | None) -> Lock:
    folder = (image.folder / "requirements").relative_to(ROOT)
    options = ["--python-version", image.python, "--python-platform", UV_PLATFORMS[image.variant.platform]]
    own = f"excludes-{image.variant.requirements}.txt"
    names = (own if (ROOT / folder / own).exists() else "excludes.txt", f"excludes-{image.base_kind}.txt")
    for name in names:
        if (ROOT / folder / name).exists():
            options += ["--excludes", str(folder / name)]
    if wheelhouse:
        options += ["--find-links", str(wheelhouse)]
    inputs = (f"{folder}/{image.variant.requirements}.in", "entrypoints/pyproject.toml")
    return _lock(f"{folder}/{image.lock}.txt", *inputs, *options, preferred=packages_of_base(image))


def all_images() -> Mapping[str, Image]:
    """The matrix, and the template of a new family."""
    return load(CONTAINERS, (FILE, TEMPLATE_FILE))


def packages_of_base(image: Image) -> Path | None:
    """The list of Python packages that the Deep Learning Container below an image brings, or None."""
    dlc = image.lowest.dlc
    if dlc is None:
        return None
    base = all_images()[image.bases[-1]] if image.bases else image
    path = base.folder / "packages" / f"{dlc.packages or base.variant_name}.txt"
    return path.relative_to(ROOT) if path.exists() else None


def pins(path: Path) -> dict[str, str]:
    """Package -> version of a lock, or of the list of what a container brings."""
    return dict(_PIN.findall((ROOT / path).read_text(encoding="utf-8")))


def brought_by_base(image: Image) -> dict[str, str]:
    """The packages of an image's lock that its base brings at a version that fits, with the base's version.

    pip leaves these as they are. `==2.13.0` fits 2.13.0+cpu, too: a specifier without a local version takes
    any (https://packaging.python.org/en/latest/specifications/version-specifiers/#version-matching).
    """
    listed = packages_of_base(image)
    if listed is None or image.lock is None:
        return {}
    brought = pins(listed)
    locked = pins(image.folder / "requirements" / f"{image.lock}.txt")
    return {
        name: brought[name]
        for name, version in locked.items()
        if name in brought and version in (brought[name], brought[name].partition("+")[0])
    }


def choose(paths: Sequence[str]) -> list[Lock]:
    """The locks at or below any of `paths` (from the root of the checkout); all where none is given.

    Raises:
        ToolkitError: a path with no lock.
    """
    locks = find_locks()
    chosen: list[Lock] = []
    for path in map(Path, paths):
        found = [lock for lock in locks if path == lock.output or path in lock.output.parents]
        if not found:
            raise ToolkitError(f"there is no lock at {path}.", "`./build.py lock --dry-run` shows all.")
        chosen += [lock for lock in found if lock not in chosen]
    return chosen if paths else locks


def _benchmark_locks() -> list[Lock]:
    """Those of the servers that benchmarks/serving measures, on the model libraries of the ensemble image."""
    folder = Path("benchmarks/serving/requirements")
    options = ["--excludes", str(folder / "excludes.txt")]
    below = matrix()["ensemble-cpu"]
    options += ["--python-version", below.python, "--python-platform", UV_PLATFORMS[below.variant.platform]]
    locks = []
    for path in sorted((ROOT / folder).glob("*.in"), key=lambda path: (path.stem != "models", path.stem)):
        overrides = folder / f"{path.stem}.overrides"
        more = ["--override", str(overrides)] if (ROOT / overrides).exists() else []
        locks.append(_lock(f"{folder}/{path.stem}.txt", f"{folder}/{path.name}", *options, *more))
    return locks


def _peer_locks() -> list[Lock]:
    """Those of the images of others that the conformance suite is tried on."""
    below = matrix()["ensemble-cpu"]
    options = ["--python-version", below.python, "--python-platform", UV_PLATFORMS[below.variant.platform]]
    folders = sorted(path.parent.relative_to(ROOT) for path in ROOT.glob("tests/peers/*/requirements.in"))
    return [_lock(f"{folder}/requirements.txt", f"{folder}/requirements.in", *options) for folder in folders]


def resolve(lock: Lock) -> None:
    """Write one lock file.

    Raises:
        ToolkitError: uv found no solution, or is not installed.
    """
    output = ROOT / lock.output
    before = output.read_bytes() if output.exists() else None
    if lock.preferred:
        # What the output file holds beforehand is what uv keeps wherever it fits.
        output.write_bytes((ROOT / lock.preferred).read_bytes())
    result = subprocess.run(lock.command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        if before is not None:
            output.write_bytes(before)
        else:
            output.unlink(missing_ok=True)
        raise ToolkitError(
            f"{lock.output} could not be resolved:\n{result.stderr.strip()}", "make setup lock"
        )


def _lock(output: str, *arguments: str, preferred: Path | None = None) -> Lock:
    # No header and no index address: a lock says what, not from where.
    options = ["--quiet", "--generate-hashes", "--no-header", "--output-file", output]
    if preferred is None:
        options.append("--upgrade")
    command = (sys.executable, "-m", "uv", "pip", "compile", *arguments, *options)
    return Lock(Path(output), command, preferred)
