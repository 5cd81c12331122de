"""Locks: which file each is made from, and that it holds what is asked for."""

from __future__ import annotations

import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from toolkit.building import locks
from toolkit.building.images import ROOT
from toolkit.errors import ToolkitError

IMAGES = [image for image in locks.all_images().values() if image.lock]


def requirements(path):
    found = []
    for line in path.read_text().splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("-r "):
            found += requirements(path.parent / text.removeprefix("-r "))
        elif text and not text.startswith("-"):
            found.append(Requirement(text))
    return found


def locked(path):
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", path.read_text(), flags=re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def excluded(image):
    folder = image.folder / "requirements"
    own = f"excludes-{image.variant.requirements}.txt"
    family = own if (folder / own).exists() else "excludes.txt"
    files = [folder / family, folder / f"excludes-{image.base_kind}.txt"]
    return {canonicalize_name(one.name) for path in files if path.exists() for one in requirements(path)}


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_a_lock_holds_what_its_requirements_ask_for(image):
    folder = image.folder / "requirements"
    versions = locked(folder / f"{image.lock}.txt")
    for requirement in requirements(folder / f"{image.variant.requirements}.in"):
        name = canonicalize_name(requirement.name)
        if name in excluded(image) or (requirement.marker and not requirement.marker.evaluate()):
            continue
        cure = f"./build.py lock {folder.relative_to(ROOT)}/{image.lock}.txt"
        assert name in versions, cure
        assert requirement.specifier.contains(versions[name], prereleases=True), cure


@pytest.mark.parametrize(
    "image", [image for image in IMAGES if image.base_kind == "dlc"], ids=lambda image: image.name
)
def test_a_lock_for_a_deep_learning_container_prefers_what_that_brings(image):
    brought = locked(ROOT / locks.packages_of_base(image))
    versions = locked(image.folder / "requirements" / f"{image.lock}.txt")
    shared = versions.keys() & brought.keys()
    # A local version (2.13.0+cpu) is what the public one (2.13.0) asks for.
    same = [name for name in shared if brought[name].partition("+")[0] == versions[name].partition("+")[0]]
    assert len(same) >= 10
    # Some do not fit, as protobuf 3 of the scikit-learn container, which ONNX does not take.
    assert len(shared) - len(same) <= len(same) / 10


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_an_image_whose_lock_has_cudas_libraries_says_of_which_cuda(image):
    """Its endpoints need a host with a driver for it (`host_amis`)."""
    versions = locked(image.folder / "requirements" / f"{image.lock}.txt")
    runtimes = [version for name, version in versions.items() if name.startswith("nvidia-cuda-runtime")]
    for version in runtimes:
        cuda = ".".join(version.split(".")[:2])
        assert image.cuda == cuda, f'declare cuda = "{cuda}" for [variants.{image.variant_name}]'


def test_locks_are_chosen_by_file_or_folder():
    chosen = locks.choose(["containers/ensemble/requirements/cpu.txt", "containers/ensemble"])
    assert [lock.output.name for lock in chosen] == ["cpu.txt", "cpu-dlc.txt"]
    with pytest.raises(ToolkitError, match="no lock at containers/ensmble"):
        locks.choose(["containers/ensmble"])
    assert locks.choose([]) == locks.find_locks()
