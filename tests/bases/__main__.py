"""`python -m tests.bases IMAGE`: one of our images on a stand-in, for tests that need no AWS.

The stand-in has what the real Deep Learning Container brings and the image's lock asks for, at the same
versions, and what the image leaves to the container (PyTorch, say). What the stand-in brings must not be
installed again. PyTorch without CUDA is on no public index: where its wheel for the containers' Python is not
at hand, the stand-in has the public one, which runs without a GPU too, under the name of the container's.
The image is then tested as any other: `pytest tests/conformance --image IMAGE`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.bases.stand_in import MARK, docker, stand_in
from tests.registry import registry
from toolkit.building import builder, images, locks
from toolkit.building.images import Image
from toolkit.building.plan import make_plan
from toolkit.building.sources import Sources
from toolkit.machine.network import find_wheelhouse

_WITH_CUDA = images.CONTAINERS / "dlc" / "packages" / "pytorch-gpu.txt"


def shared_packages(image: Image, python: str) -> list[str]:
    """What the base brings of the image's lock, and what the image leaves to it; `python` such as 3.12."""
    listed = locks.packages_of_base(image)
    assert listed is not None, f"{image.name} stands on no Deep Learning Container"
    brought = locks.pins(listed)
    folder = image.folder / "requirements"
    locked = locks.pins(folder / f"{image.lock}.txt")
    # PyTorch, and what only PyTorch asks for, stands in the lock of the image that brings its own.
    on_slim = locks.pins(folder / f"{image.variant.requirements}.txt")
    if "torch" in on_slim and not _wheel_is_at_hand("torch", brought["torch"], python):
        on_slim = locks.pins(folder / "gpu.txt")
        brought = locks.pins(_WITH_CUDA) | brought
    shared = locks.brought_by_base(image)
    shared |= {name: brought[name] for name in on_slim.keys() - locked.keys() if name in brought}
    return [f"{name}=={version}" for name, version in sorted(shared.items())]


def _wheel_is_at_hand(name: str, version: str, python: str) -> bool:
    wheelhouse = find_wheelhouse()
    tag = f"cp{python.replace('.', '')}"
    return wheelhouse is not None and any(wheelhouse.glob(f"{name}-{version}-{tag}-*.whl"))


def main(name: str, python: Path | None) -> None:
    """Build the stand-in, push it to a registry of this machine, and build the image from there."""
    image = images.find(name)
    base = images.find(image.bases[-1])
    with (
        tempfile.TemporaryDirectory() as scratch,
        registry(Path(scratch)) as address,
        stand_in(base, shared_packages(image, base.python), address, python),
    ):
        steps = make_plan([name], images.matrix())
        for one in builder.execute(steps, builder.look_around(Sources(registry=address))):
            print(f"Built {one.image} ({one.size_mb:.0f} MB)")
    below, above = (_marked(reference) for reference in (base.reference, image.reference))
    print(f"Of {len(below)} packages that the base brings, {len(below & above)} are as it brings them.")
    if again := sorted(below - above):
        sys.exit(f"Installed again: {', '.join(again)}.")


def _marked(reference: str) -> set[str]:
    """The packages of an image that have the stand-in's mark: pip has not written them again."""
    search = f"grep -l '^{MARK}$' /opt/venv/lib/python3*/site-packages/*/__init__.py"
    said = docker("run", "--rm", "--network", "none", reference, "bash", "-c", search)
    return {Path(line).parent.name for line in said.splitlines()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("image", help="such as pytorch-cpu-dlc")
    parser.add_argument(
        "--python", type=Path, help="prefix of a Python of the container's version, such as pyenv's"
    )
    given = parser.parse_args()
    main(given.image, given.python)
