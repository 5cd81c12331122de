"""What OPT_ML_SERVING_ENGINE=mms needs no Java for; tests/integration/test_engines.py has the rest."""

from __future__ import annotations

import asyncio
import os
import socket
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest
from opt_ml.errors import UserError
from opt_ml.serving.engines import mms
from opt_ml.serving.engines.mms_gate import Gate
from opt_ml.serving.engines.mms_link import (
    DIRECTORY_VARIABLE,
    Busy,
    Event,
    Events,
    has_clients,
    tell,
    wait_until_idle,
)
from opt_ml.serving.settings import Settings

from tests.unit.serving.conftest import ECHO, ENTRYPOINTS, PATIENCE, Start


def properties(settings, **variables):
    text = mms.configuration(settings, "load_models=ALL\n", 8081, variables)
    return dict(line.split("=", 1) for line in text.splitlines())


def test_the_settings_become_the_servers_own():
    settings = Settings(Path("/opt/ml/model"), port=8123, workers=3, timeout=30.0, max_body=7, queue_size=5)
    found = properties(settings)
    assert found["inference_address"] == "http://0.0.0.0:8123"
    assert found["default_workers_per_model"] == "3"
    assert found["default_response_timeout_seconds"] == "3600"  # of the load; a prediction has 30
    assert found["max_request_size"] == "7"
    assert found["job_queue_size"] == "5"
    assert found["load_models"] == "ALL"


def test_clients_cannot_reach_the_api_that_unregisters_the_model():
    assert properties(Settings(Path("/m")))["management_address"] == "http://127.0.0.1:8081"


def test_no_limit_of_the_body_is_the_largest_that_the_server_can_count():
    assert properties(Settings(Path("/m"), max_body=None))["max_request_size"] == str(2**31 - 1)


def test_options_of_the_java_machine_are_the_users_where_there_are_any():
    assert properties(Settings(Path("/m")), SAGEMAKER_MODEL_SERVER_VMARGS="-Xmx1g")["vmargs"] == "-Xmx1g"
    assert "ActiveProcessorCount" in properties(Settings(Path("/m")))["vmargs"]


def test_a_port_that_the_server_refuses_is_named_before_it_starts():
    with pytest.raises(UserError, match="SAGEMAKER_BIND_TO_PORT=40000"):
        mms.run_mms(Settings(Path("/m"), port=40000))


def test_multi_model_mode_is_refused():
    with pytest.raises(UserError, match="SAGEMAKER_MULTI_MODEL"):
        mms.run_mms(Settings(Path("/m"), is_multi_model=True))


def test_an_image_without_the_engine_says_so(start: Start):
    server = start(ECHO, OPT_ML_SERVING_ENGINE="mms", PATH="/nowhere", JAVA_HOME="", port=8080)
    assert server.process.wait(PATIENCE) == 1
    assert server.log.startswith("OPT_ML_SERVING_ENGINE is mms, and this image does not have")
    assert "Traceback" not in server.log


def test_a_java_that_does_not_run_is_named(start: Start, tmp_path: Path):
    java = tmp_path / "java" / "bin" / "java"
    settings = tmp_path / "packages" / "sagemaker_inference" / "etc" / "default-mms.properties"
    package = tmp_path / "packages" / "mms" / "__init__.py"
    for file in (java, settings, settings.parents[1] / "__init__.py", package):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    path = f"{ENTRYPOINTS}{os.pathsep}{tmp_path / 'packages'}"
    server = start(ECHO, OPT_ML_SERVING_ENGINE="mms", JAVA_HOME=java.parents[1], PYTHONPATH=path, port=8080)
    assert server.process.wait(PATIENCE) == 1
    assert server.log.startswith("multi-model-server cannot be started: [Errno 13] Permission denied")
    assert "Traceback" not in server.log


def test_an_unknown_engine_is_refused_by_name(start: Start):
    server = start(ECHO, OPT_ML_SERVING_ENGINE="torchserve")
    assert server.process.wait(PATIENCE) == 1
    assert server.log == "OPT_ML_SERVING_ENGINE=torchserve is neither native nor mms.\n"


def test_what_a_worker_tells_arrives(tmp_path, monkeypatch):
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path))

    async def receive(*events):
        heard = []
        arrived = asyncio.Event()

        def hear(event):
            heard.append(event)
            if len(heard) == len(events):
                arrived.set()

        with Events(tmp_path, hear):
            for event in events:
                tell(event)
            await asyncio.wait_for(arrived.wait(), PATIENCE)
        return heard

    huge = Event("failed", "\u00fc" * 100_000, "x" * 100_000 + "the end")
    ready, cut = asyncio.run(receive(Event("ready"), huge))
    assert ready == ("ready", "", "")
    assert cut.cause.startswith("\u00fc\u00fc")
    assert cut.details.endswith("the end")


def test_telling_nobody_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path))
    tell(Event("ready"))


@pytest.fixture
def busy(tmp_path, monkeypatch):
    """A worker that is busy until the fixture is closed."""
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path))
    with ExitStack() as held:
        held.enter_context(Busy().shown())
        yield held


@pytest.fixture
def port():
    """A port that a client is connected to."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()),
        server.accept()[0],
    ):
        yield server.getsockname()[1]


def test_the_end_waits_for_a_busy_worker(tmp_path, busy, port):
    async def drain():
        waiting = asyncio.create_task(wait_until_idle(tmp_path, port, PATIENCE))
        done, _ = await asyncio.wait([waiting], timeout=3.0)
        assert not done
        busy.close()
        await asyncio.wait_for(waiting, PATIENCE)

    asyncio.run(drain())


def test_the_end_does_not_wait_for_ever(tmp_path, busy, port):
    asyncio.run(wait_until_idle(tmp_path, port, 0.1))


def test_the_end_waits_for_nobody_where_no_client_is_connected(tmp_path, busy):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not has_clients(port)
        with socket.create_connection(server.getsockname()), server.accept()[0]:
            assert has_clients(port)
        asyncio.run(asyncio.wait_for(wait_until_idle(tmp_path, port, 10 * PATIENCE), PATIENCE))


def status_of(address):
    try:
        return urllib.request.urlopen(address, timeout=PATIENCE).status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.contract("HOST-43")
def test_what_the_server_loads_last_is_answered_when_the_model_is_there_and_is_none():
    async def ask():
        async with Gate() as gate:
            name, _, address = gate.model.partition("=")
            assert name != "model"
            asking = asyncio.create_task(asyncio.to_thread(status_of, address))
            done, _ = await asyncio.wait([asking], timeout=1.0)
            assert not done
            gate.open()
            status = await asyncio.wait_for(asking, PATIENCE)
            with pytest.raises(urllib.error.URLError, match="refused"):
                await asyncio.to_thread(status_of, address)
            return status

    assert asyncio.run(ask()) == 404
