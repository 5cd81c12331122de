"""What other serving engines need no Java for; tests/integration/test_engines.py has the rest."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest
from opt_ml.errors import UserError
from opt_ml.serving.engines import java, mms, torchserve
from opt_ml.serving.engines.gate import Gate
from opt_ml.serving.engines.link import (
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

SETTINGS = Settings(Path("/opt/ml/model"), port=8123, workers=3, timeout=30.0, max_body=7, queue_size=5)
GATE = "http://127.0.0.1:5000/gate"


def properties(settings, **variables):
    text = mms.configuration(settings, "load_models=ALL\n", 8081, variables)
    return dict(line.split("=", 1) for line in text.splitlines())


def torchserve_properties(settings):
    text = torchserve.configuration(settings, [8081, 8082, 8083, 8084], GATE, "model=/archive,gate=" + GATE)
    return dict(line.split("=", 1) for line in text.replace("\\\\", "\\").splitlines())


def test_the_settings_become_those_of_multi_model_server():
    found = properties(SETTINGS)
    assert found["inference_address"] == "http://0.0.0.0:8123"
    assert found["default_workers_per_model"] == "3"
    assert found["default_response_timeout_seconds"] == "3600"  # of the load; a prediction has 30
    assert found["max_request_size"] == "7"
    assert found["job_queue_size"] == "5"
    assert found["load_models"] == "ALL"


def test_the_settings_become_those_of_torchserve():
    found = torchserve_properties(SETTINGS)
    assert found["inference_address"] == "http://0.0.0.0:8123"
    assert found["max_request_size"] == "7"
    assert found["load_models"] == f"model=/archive,gate={GATE}"
    limits = torchserve.model_configuration(SETTINGS, torchserve.Batches(size=8, delay=5))
    assert (limits["minWorkers"], limits["maxWorkers"]) == (3, 3)
    assert (limits["batchSize"], limits["maxBatchDelay"], limits["jobQueueSize"]) == (8, 5, 5)


@pytest.mark.contract("HANDLER-32", "MME-23")
def test_torchserve_asks_for_no_token_and_loads_from_nowhere_else():
    found = torchserve_properties(SETTINGS)
    assert (found["disable_token_authorization"], found["enable_model_api"]) == ("true", "false")
    assert re.fullmatch(found["allowed_urls"], GATE)
    assert not re.fullmatch(found["allowed_urls"], "http://127.0.0.1:5000/gatex")
    assert not re.fullmatch(found["allowed_urls"], GATE.replace(".", "1"))


def test_clients_cannot_reach_the_api_that_unregisters_the_model():
    assert properties(SETTINGS)["management_address"] == "http://127.0.0.1:8081"
    found = torchserve_properties(SETTINGS)
    listening = {value for name, value in found.items() if name.endswith("_address")}
    assert listening - {"http://0.0.0.0:8123", "127.0.0.1"} == {
        "http://127.0.0.1:8081",
        "http://127.0.0.1:8082",
    }


def test_no_limit_of_the_body_is_the_largest_that_the_server_can_count():
    unlimited = Settings(Path("/m"), max_body=None)
    assert properties(unlimited)["max_request_size"] == str(2**31 - 1)
    assert torchserve_properties(unlimited)["max_request_size"] == str(2**31 - 1)


def test_ports_on_loopback_are_free_ones_and_not_the_servers_own():
    first, second = java.free_ports(2, taken=1)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", first))
        assert first not in java.free_ports(2, taken=second)
        assert second not in java.free_ports(2, taken=second)


def test_too_few_ports_on_loopback_are_told():
    with pytest.raises(UserError, match="free ports on loopback"):
        java.free_ports(1000, taken=1)


def test_options_of_the_java_machine_are_the_users_where_there_are_any():
    assert properties(Settings(Path("/m")), SAGEMAKER_MODEL_SERVER_VMARGS="-Xmx1g")["vmargs"] == "-Xmx1g"
    assert "ActiveProcessorCount" in properties(Settings(Path("/m")))["vmargs"]


def test_a_port_that_the_server_refuses_is_named_before_it_starts():
    with pytest.raises(UserError, match="SAGEMAKER_BIND_TO_PORT=40000"):
        mms.run_mms(Settings(Path("/m"), port=40000))


@pytest.mark.parametrize("run", [mms.run_mms, torchserve.run_torchserve])
def test_multi_model_mode_is_refused(run):
    with pytest.raises(UserError, match="SAGEMAKER_MULTI_MODEL"):
        run(Settings(Path("/m"), is_multi_model=True))


@pytest.mark.parametrize("engine", ["mms", "torchserve"])
def test_an_image_without_the_engine_says_so(start: Start, engine: str):
    server = start(ECHO, OPT_ML_SERVING_ENGINE=engine, PATH="/nowhere", JAVA_HOME="", port=8080)
    assert server.process.wait(PATIENCE) == 1
    assert server.log.startswith(f"OPT_ML_SERVING_ENGINE is {engine}, and this image does not have")
    assert "Traceback" not in server.log


MMS_FILES = [
    "mms/__init__.py",
    "sagemaker_inference/etc/default-mms.properties",
    "sagemaker_inference/etc/log4j2.xml",
]


@pytest.mark.parametrize(
    ("engine", "title", "files"),
    [
        ("mms", "multi-model-server", MMS_FILES),
        ("torchserve", "TorchServe", ["ts/__init__.py"]),
    ],
)
def test_a_java_that_does_not_run_is_named(
    start: Start, tmp_path: Path, engine: str, title: str, files: list[str]
):
    java_program, packages = tmp_path / "java" / "bin" / "java", tmp_path / "packages"
    for file in (java_program, *(packages / name for name in [*files, "sagemaker_inference/__init__.py"])):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    path = f"{ENTRYPOINTS}{os.pathsep}{packages}"
    home = java_program.parents[1]
    server = start(ECHO, OPT_ML_SERVING_ENGINE=engine, JAVA_HOME=home, PYTHONPATH=path, port=8080)
    assert server.process.wait(PATIENCE) == 1
    assert f"{title} cannot be started: [Errno 13] Permission denied" in server.log
    assert "Traceback" not in server.log
    assert ("end of life" in server.log.partition("\n")[0]) == (engine == "torchserve")


def test_an_unknown_engine_is_refused_by_name(start: Start):
    server = start(ECHO, OPT_ML_SERVING_ENGINE="gunicorn")
    assert server.process.wait(PATIENCE) == 1
    assert server.log == "OPT_ML_SERVING_ENGINE=gunicorn is none of native, mms and torchserve.\n"


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
