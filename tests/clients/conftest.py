"""The SageMaker Python SDKs in local mode, each in its own process, on real containers of our image."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from tests import sdks
from tests.clients.artifacts import S3, SCRIPTS, Archive
from tests.conformance.profile import Profile, csv_text, read_profile, table
from toolkit.building.images import local_reference
from toolkit.machine.containers import engine

HERE = Path(__file__).parent
COMPOSE_DIRECTORY = "com.docker.compose.project.working_dir"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session")
def image(pytestconfig: pytest.Config) -> str:
    """The local reference of the image under test."""
    reference = local_reference(pytestconfig.getoption("--image", None) or "ensemble-cpu")
    engine().image(reference)
    return reference


@pytest.fixture(autouse=True)
def clean_up(image: str, tmp_path: Path) -> Iterator[None]:
    """Remove the SDK's containers, which it leaves stopped, and its network; its files become ours."""
    yield
    listed = docker("ps", "--all", "--format", f'{{{{.ID}}}} {{{{.Label "{COMPOSE_DIRECTORY}"}}}}')
    for container, _, directory in (line.partition(" ") for line in listed.splitlines()):
        if tmp_path in (Path(directory), *Path(directory).parents):
            docker("rm", "--force", "--volumes", container)
    # Another SDK on this machine may be using it: then it stays.
    subprocess.run(["docker", "network", "rm", "sagemaker-local"], capture_output=True, check=False)
    engine().give_to_caller(image, tmp_path)


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def home(tmp_path: Path) -> Path:
    directory = tmp_path / "home"
    directory.mkdir()
    return directory


@pytest.fixture
def sdk_v2(home: Path) -> sdks.Sdk:
    return sdks.find("v2", home)


@pytest.fixture
def sdk_v3(home: Path) -> sdks.Sdk:
    return sdks.find("v3", home)


@pytest.fixture
def train_channel(tmp_path: Path) -> Path:
    """A directory with a table of 80 rows."""
    directory = tmp_path / "train-data"
    directory.mkdir()
    (directory / "data.csv").write_text(csv_text(table(80, seed=1)))
    return directory


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source directory with a Python script, a shell script and a requirement that needs no index."""
    directory = tmp_path / "source"
    shutil.copytree(SCRIPTS / "source", directory)
    (directory / "requirements.txt").write_text(f"./{sdks.make_wheel(directory)}\n")
    return directory


@pytest.fixture
def s3() -> Iterator[S3]:
    """The address of an S3 that this machine and its containers reach: moto on the bridge's gateway."""
    gateway = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}").strip()
    server = ThreadedMotoServer(ip_address=gateway, port=0, verbose=False)
    server.start()
    try:
        yield S3(f"http://{gateway}:{server.get_host_and_port()[1]}")
    finally:
        server.stop()


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """See `Archive`."""

    def make(files: Mapping[str, str]) -> str:
        directory = Path(tempfile.mkdtemp(prefix="archive-", dir=tmp_path))
        with tarfile.open(directory / "model.tar.gz", "w:gz") as tar:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content.encode())
                tar.addfile(member, io.BytesIO(content.encode()))
        return f"file://{directory}/model.tar.gz"

    return make


@pytest.fixture(scope="session")
def profile() -> Profile:
    """Hyperparameters of a job that lasts seconds, and the metric that it prints."""
    return read_profile("ensemble-cpu")
