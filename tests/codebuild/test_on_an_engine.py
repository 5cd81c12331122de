"""Builds on a real engine, and what they push in a real registry."""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid

import pytest

from tests.codebuild.fake_aws import ACCOUNT, REGION
from tests.codebuild.small_checkout import NAMESPACE, TINY, call, engine, make_checkout, remove
from tests.registry import registry

pytestmark = pytest.mark.docker
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"


@pytest.fixture
def checkout(tmp_path):
    return make_checkout(tmp_path / "checkout")


def test_any_folder_is_built_and_pushed_as_sm_docker_does(tmp_path, checkout, runner):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "Dockerfile.tiny").write_text("FROM scratch\nARG WORD\nLABEL word=$WORD\nCOPY words.txt /\n")
    (folder / "words.txt").write_text("one\n")
    (tmp_path / "registry").mkdir()
    with registry(tmp_path / "registry") as host:
        runner.prepare = lambda directory: put_programs(directory, runner, host)
        options = ["--role", "opt-ml-codebuild", "--build-arg", "WORD=two words", "-f", "Dockerfile.tiny"]
        done = call(checkout, "sm-docker", "build", ".", *options, folder=folder)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.splitlines()[-1] == f"image_uri  {HOST}/sagemaker-studio:latest"
        pulled = f"{host}/sagemaker-studio:latest"
        try:
            remove(pulled)
            engine("pull", "--quiet", pulled)
            labels = json.loads(engine("image", "inspect", "--format", "{{json .Config.Labels}}", pulled))
        finally:
            remove(pulled)
    assert labels == {"word": "two words"}


def put_programs(directory, runner, host):
    """`aws`, which this runner lacks, and `docker`, led from ECR's host to a registry that is here."""
    place = directory / ".programs"
    place.mkdir()
    docker = shutil.which("docker")
    programs = {"aws": "echo password", "docker": f'exec {docker} "${{@//{HOST}/{host}}}"'}
    for name, text in programs.items():
        (place / name).write_text(f"#!/bin/bash\n{text}\n")
        (place / name).chmod(0o755)
    runner.environment |= {
        "PATH": f"{place}:{os.environ['PATH']}",
        "DOCKER_CONFIG": str(directory / ".docker"),  # the login goes there
    }


def test_layers_of_a_pushed_image_are_pulled_and_not_built_again(tmp_path, checkout, monkeypatch):
    monkeypatch.setenv("OPT_ML_NAMESPACE", NAMESPACE)
    mark = uuid.uuid4().hex
    # Every step is this test's own: what the engine keeps of one leads to a registry that ends with the test.
    (checkout / "containers/tiny/words.txt").write_text(f"one {mark}\n")
    with (checkout / "containers/tiny/Dockerfile").open("a") as dockerfile:
        dockerfile.write(f"RUN echo {mark} > /mark\n")
    (tmp_path / "registry").mkdir()
    with registry(tmp_path / "registry") as host:
        pushed = f"{host}/sagemaker/tiny-cpu:latest"
        build = ("build", "tiny-cpu", "--registry-cache", f"{host}/sagemaker/{{image}}:latest")
        try:
            assert call(checkout, *build).returncode == 0, "a first build has nothing to pull"
            engine("tag", TINY, pushed)
            engine("push", "--quiet", pushed)
            engine("rmi", "--force", TINY, pushed)
            forget_step(mark)
            again = call(checkout, *build)
        finally:
            remove(TINY, pushed)
    assert again.returncode == 0, again.stderr
    step = re.search(rf"#(\d+) .*RUN echo {mark}", again.stderr)
    assert f"#{step[1]} CACHED" in again.stderr
    assert f"#{step[1]} pulling sha256:" in again.stderr


def forget_step(mark):
    """Remove what the engine's build cache has of a step."""
    records = engine("buildx", "du", "--verbose").split("\n\n")
    found = [re.search(r"^ID:\s*(\S+)", record)[1] for record in map(str.strip, records) if mark in record]
    assert found
    for record in found:
        assert record in engine("builder", "prune", "--force", "--filter", f"id={record}")
