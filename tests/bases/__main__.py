"""`python -m tests.bases IMAGE`: one of our images on a stand-in, for tests that need no AWS.

The stand-in has what the real Deep Learning Container brings and the image's lock asks for, at the same
versions, and what the image leaves to the container (PyTorch, say); all of it has to be there for its Python.
What the stand-in brings must not be installed again. PyTorch without CUDA is on no public index for the
containers' Python 3.12: where its wheel is not at hand, take an image with CUDA, such as autogluon-gpu-dlc.
The image is then tested as any other: `pytest tests/conformance --image IMAGE`.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

from tests.bases.stand_in import MARK, docker, stand_in
from tests.registry import registry
from toolkit.building import builder, images, locks
from toolkit.building.images import ROOT, Image
from toolkit.building.plan import make_plan
from toolkit.building.sources import Sources

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
_CUDA = re.compile(r"nvidia-.+|cuda-.+|triton")  # what PyTorch with CUDA stands on
_NAME = re.compile(r"^[A-Za-z0-9._-]+", re.MULTILINE)


def shared_packages(image: Image) -> list[str]:
    """What the base brings of the image's lock, and what the image leaves to the base."""
    listed = locks.packages_of_base(image)
    assert listed is not None, f"{image.name} stands on no Deep Learning Container"
    brought = dict(_PIN.findall((ROOT / listed).read_text()))
    folder = image.folder / "requirements"
    locked = dict(_PIN.findall((folder / f"{image.lock}.txt").read_text()))
    left = folder / "excludes-dlc.txt"
    names = {name for name, version in locked.items() if brought.get(name) == version}
    names |= set(_NAME.findall(left.read_text())) if left.exists() else set()
    if any("+cu" in brought[name] for name in names):
        names |= {name for name in brought if _CUDA.fullmatch(name)}
    # The public index has the build with CUDA, under the same number without the suffix.
    return [f"{name}=={brought[name].partition('+cu')[0]}" for name in sorted(names)]


def main(name: str, python: Path | None) -> None:
    """Build the stand-in, push it to a registry of this machine, and build the image from there."""
    image = images.find(name)
    base = images.find(image.bases[-1])
    with (
        tempfile.TemporaryDirectory() as scratch,
        registry(Path(scratch)) as address,
        stand_in(base, shared_packages(image), address, python),
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
