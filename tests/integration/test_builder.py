"""The builder that images are built with."""

from __future__ import annotations

import subprocess
import sys

import pytest

from toolkit.building.images import ROOT

pytestmark = pytest.mark.docker


@pytest.fixture
def other_builder():
    """A builder in a container of its own, chosen by the user for their other work."""
    name = "opt-ml-test-builder"
    subprocess.run(["docker", "buildx", "create", "--name", name], capture_output=True, check=True)
    yield name
    subprocess.run(["docker", "buildx", "rm", name], capture_output=True, check=True)


def test_a_builder_that_cannot_see_the_engines_images_is_not_used(other_builder, monkeypatch):
    monkeypatch.setenv("BUILDX_BUILDER", other_builder)
    monkeypatch.setenv("OPT_ML_NAMESPACE", other_builder)  # where nothing is up to date
    command = [sys.executable, str(ROOT / "build.py"), "build", "base-slim"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    subprocess.run(["docker", "rmi", f"{other_builder}/base-slim"], capture_output=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("Built ")
