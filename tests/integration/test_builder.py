"""The builder that images are built with."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.integration.push.second_engine import containerd_engine
from toolkit.building import builder, images
from toolkit.building.bake import Surroundings, keep_cache
from toolkit.building.images import CONTAINERS, ROOT
from toolkit.building.plan import make_plan
from toolkit.building.reproducibility import files_of
from toolkit.errors import ToolkitError
from toolkit.machine import buildx, docker

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


def test_a_platform_that_the_engine_cannot_run_is_refused_before_anything_is_pulled(capfd):
    foreign = {"linux/amd64", "linux/arm64"} - set(buildx.platforms())
    if not foreign:
        pytest.skip("this engine runs all platforms of SageMaker")
    platform = foreign.pop()
    base = images.find("base-slim")
    variant = base.variant.model_copy(update={"platform": platform})
    steps = make_plan(["base-slim"], {"base-slim": base.model_copy(update={"variant": variant})})
    with pytest.raises(ToolkitError, match=f"base-slim is for {platform}; this engine runs linux/") as caught:
        builder.execute(steps, Surroundings())
    assert "./build.py remote base-slim" in caught.value.cure
    assert capfd.readouterr() == ("", "")


WRITES = """
FROM base
RUN --mount=from=shared,target=/shared --mount=type=cache,target=/root/.cache/new \\
    mkdir -p /made/deep && echo text > /made/deep/file && ln -s file /made/deep/link && \\
    touch /etc/passwd && /shared/clamp-times
"""


def test_what_a_step_writes_is_the_same_layer_whenever_it_is_built(tmp_path):
    (tmp_path / "Dockerfile").write_text(WRITES)
    reference = "opt-ml-test-clamped"
    contexts = {"base": "docker-image://opt-ml/os:bookworm", "shared": str(CONTAINERS / "shared")}
    command = ["docker", "buildx", "build", "--quiet", "--load", "--no-cache", "--tag", reference]
    command += ["--build-arg", "SOURCE_DATE_EPOCH=1767225600", str(tmp_path)]
    for name, place in contexts.items():
        command += ["--build-context", f"{name}={place}"]
    made = []
    try:
        for _ in range(2):
            subprocess.run(command, capture_output=True, text=True, check=True)
            made.append(docker.inspect_image(reference))
        files = files_of(reference)
    finally:
        docker.remove_images([reference])
    assert made[0]["Id"] == made[1]["Id"]
    assert made[0]["Created"] == "2026-01-01T00:00:00Z"
    written = {path: file.modified for (layer, path), file in files.items() if layer == 1}
    assert {"made/deep/file", "made/deep/link", "etc/passwd", "root"} <= set(written)
    assert set(written.values()) == {315532800}


def test_a_folder_keeps_the_build_cache_of_an_engine_that_forgets(tmp_path, monkeypatch, capfd):
    (tmp_path / "Dockerfile").write_text(
        "FROM scratch AS below\nCOPY file /\nFROM scratch\nCOPY --from=below / /\n"
    )
    (tmp_path / "file").write_text("content")
    said = []
    with containerd_engine() as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        assert docker.find_engine().exports_cache
        for _ in range(2):
            target = {"context": str(tmp_path), "output": ["type=docker"], "tags": ["kept"]}
            keep_cache({"kept": target}, tmp_path / "cache")
            buildx.bake({"target": {"kept": target}}, ["kept"])
            said.append(capfd.readouterr().err)
            for forget in (["image", "rm", "kept"], ["builder", "prune", "--all", "--force"]):
                subprocess.run(["docker", "--host", host, *forget], capture_output=True, check=True)
    assert "CACHED" not in said[0]
    assert said[1].count("CACHED") == 2  # the step of the stage below, too


def test_an_engine_that_writes_no_cache_says_so_before_it_builds(tmp_path):
    if docker.find_engine().exports_cache:
        pytest.skip("this engine keeps images in containerd")
    with pytest.raises(ToolkitError, match="writes its build cache to no folder") as caught:
        builder.execute(make_plan(["base-slim"], images.matrix()), Surroundings(local_cache=tmp_path))
    assert "--local-cache" in caught.value.cure
