"""A stand-in for an AWS Deep Learning Container, in a local registry under AWS's repository name."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.differential.toolkit_image import build_on
from toolkit.building import images
from toolkit.building.sources import Sources
from toolkit.namespace import LOCAL_NAMESPACE

MARK = "# of the base"  # the last line of the packages that it brings
LOCAL = f"{LOCAL_NAMESPACE}/dlc-stand-in:latest"


@contextmanager
def stand_in(
    base: images.Image, packages: list[str], registry: str, python: Path | None = None
) -> Iterator[str]:
    """Build and push it, and yield the reference by which a build with that registry pulls it.

    Args:
        base: the Deep Learning Container of the matrix that it stands for.
        packages: what it brings, as `name==version`. One with a local version, such as 2.13.0+cpu, is what
            the index has as 2.13.0, under that name.
        registry: `HOST:PORT`.
        python: prefix of the Python to bring; None for that of base-slim.
    """
    reference = Sources(registry=registry).reference(base.variant)
    arguments = {"PACKAGES": " ".join(packages)}
    contexts = {}
    if python is not None:
        arguments["PYTHON_PREFIX"] = contexts["python"] = str(python)
    build_on("base-slim", Path(__file__).parent, LOCAL, arguments, contexts)
    try:
        docker("tag", LOCAL, reference)
        docker("push", "--quiet", reference)
        remove(reference)  # so that a build has to pull it
        yield reference
    finally:
        remove(LOCAL, reference)


def brought(base: images.Image, *names: str) -> list[str]:
    """Packages of the list of what a Deep Learning Container brings, at its versions."""
    dlc = base.variant.dlc
    assert dlc is not None
    path = base.folder / "packages" / f"{dlc.packages or base.variant_name}.txt"
    versions = dict(line.split("==") for line in path.read_text().splitlines() if "==" in line)
    return [f"{name}=={versions[name]}" for name in names]


def docker(*arguments: str) -> str:
    """The output of a docker command that must not fail."""
    result = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def remove(*references: str) -> None:
    """Remove local images that may be there."""
    subprocess.run(["docker", "rmi", "--force", *references], capture_output=True, check=False)
