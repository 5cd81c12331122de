"""What lies around a model server: memory, ports, disks, variables, and other containers."""

from __future__ import annotations

import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.diagnosis import listeners
from tests.conformance.endpoints import http_request, raw_connection, read_answers
from tests.conformance.profile import Profile
from toolkit.artifacts import model_directory
from toolkit.serving.endpoint import Endpoint, Surroundings

Rows = Callable[[int], bytes]
GIGABYTE = 2**30
SERVERLESS_START_LIMIT = 180.0  # seconds until /ping must be 200 (HOST-47)
METRICS_LIMIT = 64 * 1024  # bytes; what a scrape each minute may well cost


def predicts(endpoint: Endpoint, rows: Rows, profile: Profile) -> bool:
    response = endpoint.invoke(rows(2), profile.content_type, profile.accept)
    return response.status == 200 and profile.answers(response.text, 2)


def listening_ports(endpoint: Endpoint) -> set[int]:
    """TCP ports on which anything in the container's network listens for others than itself."""
    return {one.port for one in listeners(endpoint) if not one.is_loopback}


@pytest.mark.contract("PIPE-01", "PIPE-02", "HOST-108")
@pytest.mark.needs("pipeline")
def test_nothing_listens_but_the_port_of_the_platform(endpoint: Endpoint) -> None:
    assert listening_ports(endpoint) == {8080}


@pytest.fixture(scope="module")
def neighbours(image: str, model: Path, start_limit: float) -> Iterator[tuple[Endpoint, Endpoint]]:
    """Two containers of a pipeline: one network, a port of its own for each."""

    def variables(number: int) -> Mapping[str, str]:
        return {
            "SAGEMAKER_BIND_TO_PORT": f"{8080 + 100 * number}",
            "SAGEMAKER_SAFE_PORT_RANGE": f"{20000 + 10 * number}-{20009 + 10 * number}",
        }

    # The requests of both travel inside their network, which no port leads out of.
    shared: dict[str, Any] = {"isolated": True, "start_limit": start_limit}
    with Endpoint(image, model, environment=variables(0), **shared) as first:
        network = Surroundings(network=f"container:{first.container.name}")
        with Endpoint(image, model, environment=variables(1), surroundings=network, **shared) as second:
            yield first, second


@pytest.mark.contract("PIPE-01", "PIPE-02", "PIPE-08", "HOST-108")
@pytest.mark.foundation("neighbours")
@pytest.mark.needs("pipeline", "python")
def test_two_containers_share_one_network(
    neighbours: tuple[Endpoint, Endpoint], rows: Rows, profile: Profile
) -> None:
    for container in neighbours:
        assert container.ping().status == 200
        assert predicts(container, rows, profile)
    ports = listening_ports(neighbours[0])
    assert {8080, 8180} <= ports
    assert ports - {8080, 8180} <= set(range(20000, 20020))


@pytest.mark.contract("HOST-92")
@pytest.mark.needs("model_file")
def test_a_model_that_nobody_may_write_is_served(
    image: str, model: Path, rows: Rows, profile: Profile, start_limit: float, tmp_path: Path
) -> None:
    with model_directory(model) as directory:
        shutil.copytree(directory, tmp_path, dirs_exist_ok=True)
    for path in tmp_path.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    tmp_path.chmod(0o555)
    try:
        with Endpoint(image, tmp_path, user="31415:27182", start_limit=start_limit) as served:
            assert predicts(served, rows, profile)
        assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")} <= {0o555, 0o444}
    finally:
        tmp_path.chmod(0o755)


@pytest.fixture(scope="module")
def serverless(image: str, model: Path, start_limit: float) -> Iterator[Endpoint]:
    """The smallest serverless endpoint: 1 GB, a part of a CPU, some user, and nothing writable but /tmp."""
    with Endpoint(
        image,
        model,
        surroundings=Surroundings(memory=GIGABYTE, cpus=0.6),
        user="993:990",
        read_only=True,
        start_limit=min(start_limit, SERVERLESS_START_LIMIT),
    ) as running:
        yield running


@pytest.mark.contract("HOST-47", "HOST-92", "HOST-93", "HOST-94")
@pytest.mark.foundation("serverless")
def test_one_gigabyte_is_enough_under_load(serverless: Endpoint, rows: Rows, profile: Profile) -> None:
    bodies = [rows(1), rows(1000), profile.large_payload(4_000_000)] * 6
    with ThreadPoolExecutor(6) as pool:
        answers = pool.map(lambda body: serverless.invoke(body, profile.content_type, profile.accept), bodies)
        for answer in answers:
            assert answer.status == 200, answer.text
    assert serverless.container.is_running()
    assert serverless.ping().status == 200


@pytest.mark.contract("HOST-96")
def test_a_container_that_was_frozen_goes_on(serverless: Endpoint, rows: Rows, profile: Profile) -> None:
    request = http_request(rows(2), profile)
    with raw_connection(serverless) as connection:
        connection.sendall(request)
        (before,) = read_answers(connection, 1)
        docker("pause", serverless.container.name)
        connection.sendall(request)
        docker("unpause", serverless.container.name)
        (after,) = read_answers(connection, 1)
    assert (after.status, after.body) == (before.status, before.body)
    assert serverless.ping().status == 200


def docker(*arguments: str) -> None:
    subprocess.run(["docker", *arguments], check=True, capture_output=True)


def odd_surroundings() -> dict[str, str]:
    """Variables of the platform, and as many of the caller's as CreateModel takes (HOST-10)."""
    platform = {
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/an-id",
    }
    callers = {f"CALLERS_{number}": "v" * 200 for number in range(100 - len(platform))}
    return {**platform, **callers}


@pytest.mark.contract("HOST-09", "HOST-10", "HOST-14", "HOST-15", "HOST-16", "HOST-113")
def test_variables_a_name_and_a_shell_of_the_platform_change_nothing(
    image: str, model: Path, rows: Rows, profile: Profile, start_limit: float
) -> None:
    named = Surroundings(hostname="container-of-a-pipeline")
    with Endpoint(
        image, model, environment=odd_surroundings(), surroundings=named, start_limit=start_limit
    ) as served:
        assert predicts(served, rows, profile)
        # HOST-15: only root may write beside /tmp, and HOST-06 says whether the user is root.
        scratch = "echo text > /tmp/scratch && { [ ! -w / ] || echo text > /scratch; }"
        shell = ["/bin/sh", "-c", f"echo $CALLERS_7 $HOSTNAME && {scratch}"]
        assert served.container.exec(shell, b"").decode().split()[0] == "v" * 200


@pytest.mark.contract("HOST-80", "HOST-81", "HOST-83")
def test_metrics_are_few_however_many_requests_there_were(
    endpoint: Endpoint, rows: Rows, profile: Profile
) -> None:
    def scraped() -> tuple[int, int]:
        response = endpoint.request("GET", "/metrics", timeout=2)
        assert response.status in {200, 404}
        return len(response.body), response.text.count("\n")

    _, before = scraped()
    for number in range(30):
        headers = {"X-Amzn-SageMaker-Inference-Id": f"request-{number}"}
        endpoint.invoke(rows(1), profile.content_type, profile.accept, headers)
        endpoint.request("GET", f"/no/such/path/{number}")
    size, after = scraped()
    assert size < METRICS_LIMIT
    assert after - before < 30, "each request has added a line"
