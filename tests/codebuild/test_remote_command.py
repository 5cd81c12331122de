"""`build.py remote` as a person calls it, on a real engine, with ECR before a real registry."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from base64 import b64encode
from pathlib import Path

import pytest

from tests.codebuild.account import Use, allows, listed, matches
from tests.codebuild.conftest import make_role
from tests.codebuild.fake_aws import ACCOUNT, REGION
from tests.codebuild.small_checkout import NAMESPACE, TINY, call, make_checkout, remove
from tests.ecr import _Registry, ecr
from toolkit.codebuild import permissions

pytestmark = pytest.mark.docker


@pytest.fixture
def checkout(tmp_path):
    return make_checkout(tmp_path / "checkout")


@pytest.fixture
def door(tmp_path, aws, monkeypatch):
    """ECR: its API is asked by whoever has this environment."""
    (tmp_path / "ecr").mkdir()
    with ecr(tmp_path / "ecr") as made:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", made.endpoint)
        monkeypatch.setenv("OPT_ML_NAMESPACE", NAMESPACE)
        make_role(aws)  # all of moto's servers share one state, and this one began empty
        yield made
    remove(TINY)


@pytest.fixture
def machine(door, runner):
    """The machine of builds: it has the Python environment already, as a build image may."""
    runner.environment = dict(os.environ)

    def prepare(directory):
        (directory / ".venv").symlink_to(Path(sys.prefix))

    runner.prepare = prepare
    return runner


def manifest(uri):
    host, _, rest = uri.partition("/")
    name, _, tag = rest.rpartition(":")
    request = urllib.request.Request(f"http://{host}/v2/{name}/manifests/{tag}")
    request.add_header("Authorization", "Basic " + b64encode(b"AWS:password").decode())
    request.add_header("Accept", "application/vnd.docker.distribution.manifest.v2+json")
    with urllib.request.urlopen(request) as answer:
        return answer.headers["Content-Type"], json.load(answer)


@pytest.fixture
def requests(monkeypatch):
    """What the registry of ECR is asked, as the actions that IAM knows."""
    seen, usual = [], _Registry._refuse

    def refuse(self):
        seen.append((self.command, *self._parts()[:2]))
        return usual(self)

    monkeypatch.setattr(_Registry, "_refuse", refuse)
    return seen


ACTIONS = {
    ("HEAD", "blobs"): "BatchCheckLayerAvailability",
    ("POST", "blobs"): "InitiateLayerUpload",
    ("PATCH", "blobs"): "UploadLayerPart",
    ("PUT", "blobs"): "CompleteLayerUpload",
    ("PUT", "manifests"): "PutImage",
    ("GET", "manifests"): "BatchGetImage",
    ("HEAD", "manifests"): "BatchGetImage",
}


@pytest.mark.contract("CB-22", "CB-32", "IMG-01")
def test_an_image_is_built_and_pushed_with_no_more_than_the_role_may(checkout, machine, door, requests, fake):
    done = call(checkout, "remote", "tiny-cpu", "--no-check")
    assert done.returncode == 0, done.stdout + done.stderr
    uri = done.stdout.splitlines()[-1].removeprefix("image_uri  ")
    assert uri.startswith(f"{door.host(REGION)}/sagemaker/tiny-cpu:")
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=checkout, check=True, capture_output=True, text=True
    )
    assert f"-{head.stdout[:7]}-" in uri, "a build without the history knows the commit"
    media_type, found = manifest(uri)
    assert media_type == "application/vnd.docker.distribution.manifest.v2+json"
    assert found["layers"]
    phases = [line.split()[:2] for line in done.stderr.splitlines() if line.startswith("  ")]
    assert ["BUILD", "SUCCEEDED"] in phases
    assert ["POST_BUILD", "SUCCEEDED"] in phases
    assert not list(machine.workplace.rglob("secret.txt"))

    place = permissions.Place("aws", REGION, ACCOUNT, "role", "bucket")
    document = permissions.policy(permissions.of_push(place))
    repository = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/sagemaker/tiny-cpu"
    uses = [Use(f"ecr:{ACTIONS[command, kind]}", repository) for command, _, kind in requests]
    everywhere = {"GetAuthorizationToken"}
    uses += [Use(f"ecr:{name}", "*" if name in everywhere else repository) for name in door.calls]
    assert [use for use in uses if not allows(document, use)] == []
    for statement in document["Statement"]:
        for action in listed(statement["Action"]):
            assert any(matches({**statement, "Action": action}, use) for use in uses), action


def test_a_failed_build_pushes_nothing_and_names_its_phase_first(checkout, machine, door):
    (checkout / "containers/tiny/words.txt").write_text("two\n")
    done = call(checkout, "remote", "tiny-cpu", "--no-check", "--temporary", "--no-logs")
    assert done.returncode == 1
    errors = done.stderr[done.stderr.rindex("\nerror: ") :].strip().splitlines()
    assert errors[0].startswith("error: the build ended as FAILED in BUILD after ")
    assert "./build.py build tiny-cpu" in errors[0]
    assert "grep one /words.txt" in done.stderr, "the last lines of the log are shown"
    assert "PutImage" not in door.calls
    assert "CreateRepository" not in door.calls


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        (["AWS_REGION"], "error: no AWS region is chosen."),
        (["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"], "error: there are no AWS credentials"),
    ],
)
def test_what_is_not_set_up_is_one_line_and_a_cure(checkout, aws, monkeypatch, gone, said):
    for name in gone:
        monkeypatch.delenv(name)
    done = call(checkout, "remote", "tiny-cpu")
    assert done.returncode == 2
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == 2
