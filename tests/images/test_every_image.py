"""Facts that hold for each image of the matrix that stands on a base."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from toolkit.building import images
from toolkit.machine import docker


def added_to_base(image, *command):
    """The lines that a command prints in an image and not in the one below it."""
    below = images.matrix()[image.variant.base]
    return sorted({*in_image(image, *command).splitlines()} - {*in_image(below, *command).splitlines()})


def in_image(image, *command):
    result = subprocess.run(
        ["docker", "run", "--rm", "--network", "none", image.reference, *command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.contract("TRAIN-02", "HOST-02", "V3-04")
def test_train_serve_python_and_pip_are_on_the_path(our_image):
    programs = ("train", "serve", "python", "python3", "pip", "bash", "tar", "chmod")
    found = in_image(our_image, "sh", "-c", f"for name in {' '.join(programs)}; do command -v $name; done")
    assert [path.rpartition("/")[2] for path in found.split()] == list(programs)


@pytest.mark.contract("TRAIN-16", "TT-07")
def test_nothing_of_the_image_lies_where_jobs_are_mounted_or_code_is_unpacked(our_image):
    assert in_image(our_image, "find", "/opt", "-path", "/opt/ml/*") == ""


@pytest.mark.contract("V3-16")
def test_requirements_from_codeartifact_find_boto3(our_image):
    assert (
        in_image(our_image, "python", "-c", "import boto3; boto3.client('codeartifact', 'eu-west-1')") == ""
    )


def test_every_package_of_the_lock_is_installed_at_its_version(our_image):
    lock = our_image.folder / "requirements" / f"{our_image.lock}.txt"
    locked = dict(re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", lock.read_text(), flags=re.MULTILINE))
    installed = {
        re.sub(r"[-_.]+", "-", package["name"].lower()): package["version"]
        for package in json.loads(in_image(our_image, "pip", "list", "--format=json"))
    }
    assert locked
    # A base may bring the build of a version that no public index has, as 2.13.0+cpu for 2.13.0.
    found = {name: installed.get(name, "missing") for name in locked}
    wrong = {
        name: version
        for name, version in found.items()
        if locked[name] not in (version, version.partition("+")[0])
    }
    assert wrong == {}


def test_nothing_that_a_build_used_is_left_in_it(our_image):
    mounts = "/wheelhouse /algorithm /entrypoints /shared /requirements /run/secrets"
    leftovers = f"{mounts} /root/.cache /tmp/source /var/lib/apt/lists/*"
    listing = f"for path in {leftovers}; do [ -s $path ] && ls -A $path; done; true"
    assert added_to_base(our_image, "sh", "-c", listing) == []


def test_no_package_brings_its_tests(our_image):
    assert added_to_base(our_image, "find", "/opt/venv", "-type", "d", "-name", "tests") == []


@pytest.mark.contract("HOST-92")
def test_every_file_can_be_read_by_any_user(our_image):
    closed = ("find", "/opt/venv", "!", "-perm", "-o=r", "!", "-type", "l")
    assert added_to_base(our_image, *closed) == []


def test_the_entrypoints_are_the_last_layer_and_a_small_one(our_image):
    """So that a change of them costs a push of little."""
    if images.matrix()[our_image.variant.base].variant.base is not None:
        pytest.skip(f"{our_image.name} has them from {our_image.variant.base}")
    layout = ["docker", "history", "--no-trunc", "--human=false", "--format", "{{.Size}}\t{{.CreatedBy}}"]
    history = subprocess.run(
        [*layout, our_image.reference], capture_output=True, text=True, check=True
    ).stdout
    layers = [line.split("\t", 1) for line in history.splitlines()]
    size, created_by = next((int(size), text) for size, text in layers if int(size))
    assert "/entrypoints/" in created_by
    assert size < 3_000_000


def test_it_is_within_its_size_budget(our_image):
    assert docker.unpacked_size(our_image.reference) <= our_image.variant.size_budget_mb * 1_000_000
