"""Endpoints with the runtime API in front, in real containers of the tiny image, asked by boto3."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import tiny_image
from tests.integration.endpoints import boto, error_of, running
from toolkit.artifacts import pack
from toolkit.errors import ToolkitError
from toolkit.hosting.client import Call, EndpointClient
from toolkit.hosting.code_watch import CodeWatch
from toolkit.hosting.fleet import ContainerDefinition, Instance
from toolkit.hosting.keeper import Keeper
from toolkit.hosting.limits import MB, Limits, Serverless
from toolkit.hosting.local_endpoint import EndpointConfig, LocalEndpoint
from toolkit.serving.endpoint import EndpointError, Surroundings


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("model")
    (directory / "model.json").write_text(json.dumps({"mean": 5.0, "features": 2}))
    return directory


@pytest.fixture(scope="module")
def endpoint(tiny: str, model: Path) -> Iterator[LocalEndpoint]:
    limits = Limits(payload=1 * MB, certain_payload=1 << 19)
    with running(EndpointConfig("an-endpoint", (ContainerDefinition(tiny, model),), limits=limits)) as (
        one,
        _,
    ):
        yield one


@pytest.mark.contract("HOST-53")
def test_boto3_gets_body_and_content_type_of_the_container(endpoint: LocalEndpoint) -> None:
    answer = boto(endpoint).invoke_endpoint(EndpointName="an-endpoint", ContentType="text/csv", Body=b"1,2\n")
    assert answer["Body"].read() == b"5.0"
    assert (answer["ContentType"], answer["InvokedProductionVariant"]) == ("text/csv", "AllTraffic")


@pytest.mark.contract("HOST-54")
def test_an_error_of_the_container_becomes_a_model_error(endpoint: LocalEndpoint) -> None:
    error = error_of(
        lambda: boto(endpoint).invoke_endpoint(
            EndpointName="an-endpoint", ContentType="text/csv", Body=b"1,two\n"
        )
    )
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert error["Error"]["Code"] == "ModelError"
    assert error["OriginalStatusCode"] == 400
    assert "'two' is no number" in error["OriginalMessage"]
    assert error["Error"]["Message"].startswith("Received client error (400) from primary with message")


@pytest.mark.contract("HOST-65")
def test_a_response_stream_is_what_botocore_parses(endpoint: LocalEndpoint) -> None:
    answer = boto(endpoint).invoke_endpoint_with_response_stream(
        EndpointName="an-endpoint", ContentType="text/csv", Body=b"1,2\n" * 50_000
    )
    body = b"".join(event["PayloadPart"]["Bytes"] for event in answer["Body"])
    assert body.count(b"5.0") == 50_000
    assert answer["ContentType"] == "text/csv"


@pytest.mark.contract("HOST-54")
def test_a_response_stream_that_cannot_begin_is_a_model_error(endpoint: LocalEndpoint) -> None:
    error = error_of(
        lambda: boto(endpoint).invoke_endpoint_with_response_stream(
            EndpointName="an-endpoint", Body=b"1,two\n"
        )
    )
    assert (error["Error"]["Code"], error["OriginalStatusCode"]) == ("ModelError", 400)


@pytest.mark.contract("HOST-51")
def test_a_payload_above_the_limit_is_refused(endpoint: LocalEndpoint) -> None:
    error = error_of(
        lambda: boto(endpoint).invoke_endpoint(EndpointName="an-endpoint", Body=b"1,2\n" * (1 << 23))
    )
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert "exceeded 1048576 bytes" in str(error)


def test_another_name_is_no_endpoint_here(endpoint: LocalEndpoint) -> None:
    error = error_of(lambda: boto(endpoint).invoke_endpoint(EndpointName="another", Body=b"1,2\n"))
    assert error["Error"]["Code"] == "ValidationError"
    assert "Endpoint another of account" in error["Error"]["Message"]


@pytest.mark.contract("HOST-60")
def test_a_target_model_is_refused_where_there_is_one_model(endpoint: LocalEndpoint) -> None:
    error = error_of(
        lambda: boto(endpoint).invoke_endpoint(EndpointName="an-endpoint", TargetModel="a", Body=b"1,2\n")
    )
    assert "not a multi-model endpoint" in error["Error"]["Message"]


def test_the_bare_path_keeps_the_error_of_the_container(endpoint: LocalEndpoint) -> None:
    with pytest.raises(Exception) as caught:
        bare = EndpointClient(endpoint.fleet.url())
        bare.invoke(Call(b"1,two\n", "text/csv"))
    assert caught.value.fields["OriginalStatusCode"] == 400


@pytest.mark.contract("HOST-12")
def test_a_container_that_ends_is_started_again(tiny: str, model: Path) -> None:
    with (
        tiny_image.variant("dies", "ENV FAULT=dies-at-garbage") as image,
        running(EndpointConfig("dies", (ContainerDefinition(image, model),))) as (endpoint, _),
    ):
        before, back = endpoint.fleet.url(), threading.Event()
        said: list[str] = []

        def say(line: str) -> None:
            said.append(line)
            if line.startswith("Healthy again"):
                back.set()
                raise KeyboardInterrupt

        error = error_of(lambda: boto(endpoint).invoke_endpoint(EndpointName="dies", Body=b"garbage"))
        with pytest.raises(KeyboardInterrupt):
            Keeper(endpoint.fleet, say).run()
        answer = boto(endpoint).invoke_endpoint(EndpointName="dies", Body=b"1,2\n")
        assert answer["Body"].read() == b"5.0"
        assert endpoint.fleet.url() == before
    assert error["OriginalStatusCode"] == 0
    assert "exit code 5" in said[0]
    assert back.is_set()


@pytest.mark.contract("HOST-90", "HOST-91", "HOST-92", "HOST-93")
def test_a_serverless_endpoint_is_small_and_unprivileged(tiny: str, model: Path, tmp_path: Path) -> None:
    serverless = Serverless(1024, max_concurrency=1)
    archive = tmp_path / "model.tar.gz"
    assert pack(model, archive) == []
    around = Surroundings(cpus=serverless.cpus, memory=serverless.memory, is_tmp_on_disk=True)
    instance = Instance(around, user="993:990", read_only=True)
    config = EndpointConfig(
        "small", (ContainerDefinition(tiny, archive),), instance=instance, limits=serverless.limits
    )
    script = (
        "import os, pathlib; pathlib.Path('/tmp/x').write_text('x'); print(os.getuid(), end=' ');"
        "print(pathlib.Path('/sys/fs/cgroup/memory.max').read_text().strip()"
        " if pathlib.Path('/sys/fs/cgroup/memory.max').exists() else"
        " pathlib.Path('/sys/fs/cgroup/memory/memory.limit_in_bytes').read_text().strip())"
    )
    with running(config) as (endpoint, _):
        container = endpoint.fleet._endpoints[0].container
        assert container.exec(["python3", "-c", script], b"").split() == [b"993", str(1024 * MB).encode()]
        with pytest.raises(ToolkitError, match="Read-only file system"):
            container.exec(["python3", "-c", "open('/opt/x', 'w')"], b"")
        too_large = error_of(
            lambda: boto(endpoint).invoke_endpoint(EndpointName="small", Body=b"1,2\n" * (1 << 20) + b"1,2\n")
        )
    assert too_large["ResponseMetadata"]["HTTPStatusCode"] == 413


def test_changed_code_is_served_by_a_new_container_at_the_same_address(
    tiny: str, model: Path, tmp_path: Path
) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "inference.py").write_text("first")
    instance = Instance(Surroundings(code=code))
    config = EndpointConfig("under-work", (ContainerDefinition(tiny, model),), instance=instance)
    with running(config) as (endpoint, _):
        watch, before, said = CodeWatch(code), endpoint.fleet.url(), []
        (code / "inference.py").write_text("second")

        def say(line: str) -> None:
            said.append(line)
            if line.startswith("Ready again"):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            Keeper(endpoint.fleet, say, watch).run()
        container = endpoint.fleet._endpoints[0].container
        assert container.exec(["cat", "/opt/ml/model/code/inference.py"], b"") == b"second"
        answer = boto(endpoint).invoke_endpoint(
            EndpointName="under-work", ContentType="text/csv", Body=b"1,2\n"
        )
        assert answer["Body"].read() == b"5.0"  # the model lies beside the code
        assert endpoint.fleet.url() == before
    assert said[0] == "Changed: inference.py. Starting the server again."


def test_code_that_has_gone_may_come_back(tiny: str, model: Path, tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "inference.py").write_text("first")
    instance = Instance(Surroundings(code=code))
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if "is not a directory" in line:
            code.mkdir()
            (code / "inference.py").write_text("second")
        if line.startswith("Ready again"):
            raise KeyboardInterrupt

    config = EndpointConfig("under-work", (ContainerDefinition(tiny, model),), instance=instance)
    with running(config) as (endpoint, _):
        watch = CodeWatch(code)
        shutil.rmtree(code)
        with pytest.raises(KeyboardInterrupt):
            Keeper(endpoint.fleet, say, watch).run()
        assert endpoint.fleet.ping() == {}
    assert len(said) == 4


@pytest.mark.contract("HOST-04")
def test_ctrl_c_kills_a_container_that_takes_its_time_to_stop(model: Path, monkeypatch, tiny: str) -> None:
    with (
        tiny_image.variant("deaf-server", "ENV FAULT=ignores-sigterm") as image,
        running(EndpointConfig("deaf", (ContainerDefinition(image, model),))) as (endpoint, _),
    ):
        container = endpoint.fleet._endpoints[0].container
        real = container.stop

        def stop(grace: float) -> None:
            monkeypatch.undo()
            os.kill(os.getpid(), signal.SIGINT)
            real(grace)

        monkeypatch.setattr(container, "stop", stop)
        with pytest.raises(KeyboardInterrupt):
            endpoint.fleet.stop(grace=120)
        (how,) = endpoint.fleet.stop()
    assert how.exit_code == 137
    assert how.duration < 120


@pytest.mark.contract("HOST-12")
def test_a_container_that_does_not_come_back_is_given_up_with_its_cause(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.hosting.keeper.FIRST_PAUSE", 0.01)
    (tmp_path / "model.json").write_text(json.dumps({"mean": 5.0, "features": 2}))
    with (
        tiny_image.variant("dies", "ENV FAULT=dies-at-garbage") as image,
        running(EndpointConfig("dies", (ContainerDefinition(image, tmp_path),))) as (endpoint, _),
    ):
        (tmp_path / "model.json").write_text("no model any more")
        error_of(lambda: boto(endpoint).invoke_endpoint(EndpointName="dies", Body=b"garbage"))
        with pytest.raises(EndpointError, match="cannot be read"):
            Keeper(endpoint.fleet, lambda _: None).run()
        down = error_of(lambda: boto(endpoint).invoke_endpoint(EndpointName="dies", Body=b"1,2\n"))
    assert down["Error"]["Code"] == "ServiceUnavailable"
    assert "model.json cannot be read" in down["Error"]["Message"]
