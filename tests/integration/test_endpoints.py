"""Endpoints in real containers of the tiny image."""

from __future__ import annotations

import json
import socket
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import tiny_image
from toolkit import cli
from toolkit.errors import ToolkitError
from toolkit.hosting.client import Call, EndpointClient
from toolkit.machine.containers import engine
from toolkit.serving.endpoint import STOP_GRACE, Endpoint, EndpointError


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("model")
    (directory / "model.json").write_text(json.dumps({"mean": 5.0, "features": 2}))
    archive = directory.parent / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(directory / "model.json", "model.json")
    return archive


@pytest.fixture(scope="module")
def endpoint(tiny: str, model: Path) -> Iterator[Endpoint]:
    with Endpoint(tiny, model) as running:
        yield running


def test_an_endpoint_answers_where_its_url_says(endpoint: Endpoint) -> None:
    assert endpoint.url.startswith("http://127.0.0.1:")
    assert EndpointClient(endpoint.url).invoke(Call(b"1,2\n", "text/csv")).body == b"5.0"


def test_the_log_is_kept(endpoint: Endpoint) -> None:
    assert "Listening on 8080" in endpoint.logs()


@pytest.mark.contract("HOST-21")
def test_the_model_cannot_be_written(endpoint: Endpoint) -> None:
    with pytest.raises(ToolkitError, match="Read-only file system"):
        endpoint.container.exec(["python3", "-c", "open('/opt/ml/model/x', 'w')"], b"")


def test_exec_passes_bytes_in_and_out(endpoint: Endpoint) -> None:
    sent = bytes(range(256)) * 1000
    script = f"import sys; sys.stdout.buffer.write(sys.stdin.buffer.read({len(sent)}))"
    assert endpoint.container.exec(["python3", "-c", script], sent) == sent


def test_a_directory_is_served_as_a_model(tiny: str, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(json.dumps({"mean": 7.0, "features": 1}))
    with Endpoint(tiny, tmp_path) as running:
        assert running.invoke(b"1\n", "text/csv").text == "7.0"


@pytest.mark.contract("HOST-41")
def test_a_container_that_ends_early_is_reported_with_its_last_lines(tiny: str) -> None:
    with pytest.raises(EndpointError) as caught, Endpoint(tiny):
        pass
    first, *rest = str(caught.value).splitlines()
    assert "ended with exit code 1 before /ping answered 200" in first
    assert "/opt/ml/model/model.json cannot be read" in first
    assert "did not pass the ping health check" in rest[0]
    assert "/opt/ml/model/model.json cannot be read" in "".join(rest[1:])


def test_serve_does_not_show_a_log_twice(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", tiny, "--model", "none", "--port", "0"]) == 1
    shown = capsys.readouterr()
    assert "model.json cannot be read" in shown.out
    assert shown.err.count("model.json cannot be read") == 1


@pytest.mark.contract("HOST-41")
def test_a_container_that_is_never_healthy_is_reported_with_the_last_answer(model: Path, tiny: str) -> None:
    with (
        tiny_image.variant("elsewhere", "ENV FAULT=fixed-port") as image,
        pytest.raises(EndpointError, match="not 200 within 2 s"),
        Endpoint(image, model, environment={"SAGEMAKER_BIND_TO_PORT": "9999"}, start_limit=2),
    ):
        pass


def test_nothing_is_left_after_a_failed_start(tiny: str) -> None:
    client = engine()
    with pytest.raises(EndpointError), Endpoint(tiny) as running:
        assert running
    containers = client._client.containers.list(
        all=True, filters={"ancestor": tiny, "label": "opt-ml.started-by"}
    )
    assert [
        one for one in containers if one.attrs["Config"]["Cmd"] == ["serve"] and one.status != "running"
    ] == []


def test_a_port_that_is_taken_is_named(tiny: str, model: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ToolkitError, match=f"Port {port} of this machine is taken"):
            Endpoint(tiny, model, port=port).__enter__()


@pytest.mark.contract("HOST-04")
def test_stop_says_how_the_container_ended(tiny: str, model: Path) -> None:
    with Endpoint(tiny, model) as running:
        stop = running.stop()
        assert running.stop() is stop
    assert (stop.by_itself, stop.exit_code) == (True, 0)


def test_a_container_that_is_given_up_before_it_is_healthy_gets_no_time_to_stop(
    tiny: str, model: Path
) -> None:
    with tiny_image.variant("deaf", "ENV FAULT=ignores-sigterm") as image:
        endpoint = Endpoint(image, model, wait=False)
        with pytest.raises(KeyboardInterrupt), endpoint:
            raise KeyboardInterrupt
    stop = endpoint.stop()
    assert stop.exit_code == 137
    assert stop.duration < STOP_GRACE


@pytest.mark.contract("HOST-114")
def test_an_isolated_endpoint_is_asked_from_inside(tiny: str, model: Path) -> None:
    with Endpoint(tiny, model, isolated=True) as running:
        assert running.ping().status == 200
        assert running.invoke(b"1,2\n" * 20_000, "text/csv").body.count(b"5.0") == 20_000
        assert running.invoke((part for part in (b"1,2\n", b"3,4\n")), "text/csv").text == "5.0\n5.0"
        assert running.invoke(b"1,two\n", "text/csv").status == 400


@pytest.mark.contract("HOST-22")
def test_a_model_that_is_not_there_is_named(tiny: str) -> None:
    with pytest.raises(ToolkitError, match=r"no-such\.tar\.gz does not exist"):
        Endpoint(tiny, Path("no-such.tar.gz")).__enter__()


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "http://", "127.0.0.1:1"])
def test_an_url_without_an_endpoint_is_named(url: str) -> None:
    with pytest.raises(ToolkitError) as caught:
        EndpointClient(url)
    assert url in str(caught.value)
