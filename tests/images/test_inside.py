"""Runs tests/images/<family>/inside in the family's image, with a test runner on top and no network."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from toolkit.building import bake, builder, images
from toolkit.machine import buildx

HERE = Path(__file__).parent


def test_its_own_tests_pass_inside_the_image(our_image):
    inside = HERE / our_image.folder.name / "inside"
    if not inside.is_dir():
        pytest.skip(f"{our_image.folder.name} has no tests of its own")
    definition = bake.make_test_definition(our_image, builder.look_around())
    buildx.bake(definition, list(definition["target"]))
    # The checkout's tests and README beside the image's packages: its own Python paths stay out.
    folder = inside.relative_to(images.ROOT)
    pytest_command = ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "pythonpath="]
    command = [
        "docker",
        "run",
        "--rm",
        "--network",
        "none",
        "-e",
        "HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis",
    ]
    command += ["-v", f"{images.ROOT}:/checkout:ro", "-w", "/checkout", bake.test_reference(our_image)]
    command += [*pytest_command, f"--confcutdir={folder}", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    print(result.stdout)
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
