"""The same Dockerfile on an AWS Deep Learning Container: here on a stand-in, pulled from a registry."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from tests.bases.stand_in import MARK, brought, docker, remove, stand_in
from tests.registry import registry as docker_registry
from toolkit.building import bake, builder, bump, digests, dlc_layer, images, locks, os_layer, scaffold
from toolkit.building.images import Image
from toolkit.building.plan import make_plan
from toolkit.building.schema import OperatingSystem
from toolkit.building.sources import Sources
from toolkit.errors import ToolkitError
from toolkit.jobs.job import Channel, JobResult, TrainingJob, execute, plan
from toolkit.machine import docker as docker_client
from toolkit.namespace import LOCAL_NAMESPACE
from toolkit.serving.endpoint import Endpoint

pytestmark = pytest.mark.docker

FAMILY = "forest"
BROUGHT = ("boto3", "botocore", "httptools", "jmespath", "numpy", "python-dateutil", "s3transfer", "six")
BROUGHT += ("urllib3", "uvloop")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The registry's address, with the stand-in under AWS's name."""
    base = images.find("dlc-pytorch-cpu")
    directory = tmp_path_factory.mktemp("registry")
    packages = brought(base, *BROUGHT)
    packages += [f"{package}+dlc" for package in brought(base, "websockets")]  # as PyTorch's 2.13.0+cpu
    with docker_registry(directory) as address, stand_in(base, packages, address):
        yield address


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Image]:
    """The matrix of a checkout with a new family."""
    containers = tmp_path_factory.mktemp("checkout") / "containers"
    for name in ("base", "dlc"):
        shutil.copytree(images.CONTAINERS / name, containers / name)
    scaffold.make_family(FAMILY, ("slim", "dlc"), containers, containers.parent)
    return dict(images.load(containers))


@pytest.fixture(scope="module")
def built(matrix: dict[str, Image], registry: str) -> Iterator[Image]:
    """The new family's image on the stand-in, under names of its own: a real base stays what it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "LOCAL_NAMESPACE", f"{LOCAL_NAMESPACE}-bases")
        image = matrix[f"{FAMILY}-cpu-dlc"]
        sources = Sources(registry=registry)
        steps = make_plan([image.name], matrix)
        try:
            builder.execute(steps, builder.look_around(sources))
            yield image
        finally:
            remove(*(step.image.reference for step in steps), sources.reference(image.lowest))


@pytest.fixture(scope="module")
def trained(built: Image, tmp_path_factory: pytest.TempPathFactory) -> JobResult:
    """A job on a table whose label is twice the first column, and one."""
    directory = tmp_path_factory.mktemp("job")
    (directory / "data.csv").write_text(
        "a,b,label\n" + "".join(f"{n},{n % 3},{2 * n + 1}\n" for n in range(30))
    )
    channels = (Channel("train", directory / "data.csv"),)
    job = TrainingJob(
        built.reference,
        name="a-job",
        jobs_dir=directory / "jobs",
        channels=channels,
        hyperparameters={"label": "label", "rounds": "2000"},
    )
    return execute(plan(job))


@pytest.mark.contract("TRAIN-05", "TT-18")
def test_our_train_runs_and_not_that_of_the_image_below(built: Image, trained: JobResult) -> None:
    assert trained.status == "Completed", trained.log.read_text()
    assert "of the image below" not in trained.log.read_text()
    configuration = json.loads(docker("image", "inspect", built.reference))[0]["Config"]
    assert not configuration["Entrypoint"]
    assert configuration["Cmd"] == ["train"]


def test_the_model_is_served(built: Image, trained: JobResult) -> None:
    with Endpoint(built.reference, model=trained.model) as endpoint:
        answer = endpoint.invoke(b"10,1\n20,2\n", "text/csv", "text/csv")
    assert answer.status == 200, answer.body
    assert [float(line) for line in answer.body.split()] == pytest.approx([21, 41], abs=0.5)


def test_what_the_base_brings_at_the_locks_version_is_not_installed_again(built: Image) -> None:
    last_lines = "tail -qn 1 /opt/venv/lib/python3*/site-packages/{numpy,boto3,websockets}/__init__.py"
    said = docker("run", "--rm", "--network", "none", built.reference, "bash", "-c", last_lines)
    assert said.splitlines() == [MARK] * 3


def test_a_local_version_of_the_base_fits_the_locks_public_one(built: Image) -> None:
    assert "websockets" in locks.pins(built.folder / "requirements" / "cpu-dlc.txt")
    said = docker("run", "--rm", "--network", "none", built.reference, "pip", "list", "--format", "freeze")
    versions = [line for line in said.splitlines() if line.startswith("websockets==")]
    assert versions == [f"{package}+dlc" for package in brought(images.find("dlc-pytorch-cpu"), "websockets")]


@pytest.mark.contract("TRAIN-16")
def test_nothing_of_the_base_lies_where_jobs_are_mounted(built: Image) -> None:
    assert docker("run", "--rm", built.reference, "find", "/opt/ml", "-mindepth", "1") == ""


def test_a_pin_is_the_digest_that_the_registry_has(
    matrix: dict[str, Image], registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, sources = matrix["dlc-pytorch-cpu"], Sources(registry=registry)
    proposals, unanswered = bump.propose([base], sources, date(2026, 11, 21))
    assert unanswered == []
    (proposal,) = proposals
    assert f'+tag = "{images.tag_of(base.variant)}"' in proposal.diff()
    digests.write(proposal.folder, proposal.pins)
    assert bump.propose([base], sources, date(2027, 1, 1))[0][0].diff() == ""
    pinned = images.load(base.folder.parent)[base.name]
    reference = sources.reference(pinned.variant, pinned.digest)
    assert reference.endswith(f"@{proposal.pins[base.variant_name].digest}")
    dlc_layer.ensure(reference, base.variant.platform)
    # A digest that is here is not asked for again.
    monkeypatch.setattr(docker_client, "pull_image", lambda *_: "no registry")
    dlc_layer.ensure(reference, base.variant.platform)
    remove(reference)


def test_the_packages_of_a_base_are_those_that_its_pip_lists(matrix: dict[str, Image], registry: str) -> None:
    base, sources = matrix["dlc-pytorch-cpu"], Sources(registry=registry)
    path = bump.write_packages(base, sources, date(2026, 11, 21))
    lines = path.read_text().splitlines()
    assert {*brought(images.find("dlc-pytorch-cpu"), "numpy", "boto3")} <= set(lines)
    assert "./build.py bump --packages dlc-pytorch-cpu" in "\n".join(lines[:2])


def test_another_pin_brings_another_operating_system_layer(registry: str, tmp_path: Path) -> None:
    system = OperatingSystem(image="debian:stand-in", release="stand-in", python="3.11")
    tag = f"{registry}/library/debian:stand-in"
    pins = []
    for content in ("one", "two"):
        archive = tmp_path / content
        with tarfile.open(archive, mode="w") as tar:
            tar.addfile(tarfile.TarInfo(content))
        with archive.open("rb") as stream:
            docker_client.import_image(stream, tag, "linux/amd64", [])
        docker("push", "--quiet", tag)
        pins.append(f"{tag}@{docker_client.manifest_digest(tag)}")
    try:
        for pin in pins:
            os_layer.ensure(system, "linux/amd64", pin)
            assert os_layer.is_present(system, "linux/amd64", pin)
        assert not os_layer.is_present(system, "linux/amd64", pins[0])
        os_layer.ensure(system, "linux/amd64", f"{tag}@sha256:{'0' * 64}")  # nobody has it
        assert os_layer.is_present(system, "linux/amd64", pins[1])
    finally:
        remove(bake.os_reference("stand-in"), tag, *pins)


def test_a_base_that_a_registry_lacks_is_named_with_the_way_out(
    matrix: dict[str, Image], registry: str
) -> None:
    steps = make_plan(["dlc-autogluon-cpu"], matrix)
    with pytest.raises(ToolkitError, match=f"{registry}/autogluon:1.6-cpu-amzn2023 could") as caught:
        builder.execute(steps, builder.look_around(Sources(registry=registry)))
    assert "--registry HOST" in caught.value.cure
