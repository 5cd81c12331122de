"""requirements.txt of a model: installed before the workers start, or the log says first why not."""

from __future__ import annotations

import asyncio
import signal
import socket
import tempfile
from pathlib import Path

import pytest
from opt_ml.pip import InstallError
from opt_ml.serving.packages import Packages
from opt_ml.serving.workers.processes import Children

from tests.unit.serving.conftest import eventually, is_alive
from tests.unit.serving.wheels import OFFLINE, wheel

HANDLER = """
import helper_of_tests

def model_fn(model_dir): return None
def transform_fn(model, body, content_type, accept):
    import numpy, sys
    return f"{helper_of_tests.__file__} {numpy.__file__}"
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model" / "code").mkdir(parents=True)
    return tmp_path / "model"


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    directory = tmp_path / "temporary"
    directory.mkdir()
    return directory


@pytest.mark.contract("HANDLER-13", "MHCS-04", "HOST-21", "HOST-93")
@pytest.mark.parametrize("place", ["code", "."])
def test_what_the_image_lacks_is_installed_below_tmp_and_what_it_has_is_left(start, model, temporary, place):
    wheel(model / place / "requirements", requires="Requires-Dist: numpy>=1\n")
    (model / place / "requirements.txt").write_text("helper_of_tests\n")
    before = sorted(model.rglob("*"))
    server = start(HANDLER, TMPDIR=temporary, SAGEMAKER_MODEL_SERVER_WORKERS=2, **OFFLINE).wait_until_ready()
    helper, numpy = server.post(b"1").body.decode().split()
    assert Path(helper).is_relative_to(temporary)
    import numpy as ours

    assert numpy == ours.__file__
    assert [path for path in sorted(model.rglob("*")) if path.name != "inference.py"] == before
    assert "Successfully installed helper" in server.log
    assert server.stop() == 0
    assert list(temporary.iterdir()) == []


@pytest.mark.contract("HANDLER-13", "HOST-114", "HOST-46")
def test_a_package_that_cannot_be_had_is_the_first_line_of_the_log_and_the_end(start, model, temporary):
    (model / "code" / "requirements.txt").write_text("no-such-package-of-tests==1\n")
    server = start(HANDLER, TMPDIR=temporary, **OFFLINE)
    assert server.process.wait(60) == 1
    first = server.log.splitlines()[0]
    assert first.startswith("InstallRequirementsError: ")
    assert "no-such-package-of-tests" in first
    assert str(model / "code" / "requirements.txt") in first
    assert "Traceback" not in server.log
    assert list(temporary.iterdir()) == []


@pytest.mark.contract("HOST-43", "HOST-05")
def test_ping_is_503_meanwhile_and_a_stop_signal_stops_pip(start, model, temporary):
    (model / "code" / "requirements.txt").write_text("helper_of_tests\n")
    with socket.create_server(("127.0.0.1", 0)) as index:  # takes connections and never answers
        address = f"http://127.0.0.1:{index.getsockname()[1]}/simple"
        variables = OFFLINE | {"PIP_NO_INDEX": "", "PIP_INDEX_URL": address, "NO_PROXY": "127.0.0.1"}
        server = start(HANDLER, TMPDIR=temporary, **variables)
        index.settimeout(60)
        connection, _ = index.accept()
        with connection:
            assert connection.recv(1000).startswith(b"GET /simple/helper")
            assert server.ping() == 503
            assert server.post(b"1").status == 503
            installers = server.workers
            assert len(installers) == 1
            assert server.stop(signal.SIGTERM) == 0
            assert connection.recv(1000) == b""  # pip is gone
    eventually(lambda: not any(is_alive(process) for process in installers), "no orphan is left")
    assert list(temporary.iterdir()) == []


@pytest.mark.contract("MHCS-04")
def test_nothing_is_installed_where_that_is_switched_off(start, model):
    (model / "code" / "requirements.txt").write_text("no-such-package-of-tests==1\n")
    handler = HANDLER.replace("import helper_of_tests", "")
    server = start(handler, STANDARD_AUTO_INSTALL_REQ="False", **OFFLINE).wait_until_ready()
    assert server.stop() == 0


@pytest.mark.contract("HANDLER-13")
def test_without_an_index_to_reach_the_start_fails_soon(start, model, temporary):
    (model / "code" / "requirements.txt").write_text("helper_of_tests\n")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and nobody listens
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/simple"
        variables = OFFLINE | {"PIP_NO_INDEX": "", "PIP_INDEX_URL": address, "NO_PROXY": "127.0.0.1"}
        server = start(HANDLER, TMPDIR=temporary, **variables)
        assert server.process.wait(60) == 1
    assert server.log.startswith("InstallRequirementsError: ")
    assert "has no network to an index" in server.log.splitlines()[0]


@pytest.mark.contract("HANDLER-14")
def test_a_repository_of_codeartifact_that_is_no_arn_is_named(start, model):
    (model / "code" / "requirements.txt").write_text("helper_of_tests\n")
    server = start(HANDLER, CA_REPOSITORY_ARN="my-repository", **OFFLINE)
    assert server.process.wait(60) == 1
    assert server.log.startswith("CA_REPOSITORY_ARN 'my-repository' is not arn:")


@pytest.mark.contract("HANDLER-13")
def test_a_disk_that_takes_no_package_is_the_first_line_of_the_log_and_the_end(start, model, temporary):
    (model / "code" / "requirements.txt").write_text("helper_of_tests\n")
    no_room = ["prlimit", "--fsize=4096"]  # less than a virtual environment's longest file
    server = start(HANDLER, command=no_room, TMPDIR=temporary, **OFFLINE)
    assert server.process.wait(60) == 1
    assert "requirements.txt was not installed: [Errno 27] File too large" in server.log.splitlines()[0]
    assert "Traceback" not in server.log


def test_a_container_without_a_temporary_directory_says_so(model, monkeypatch):
    (model / "code" / "requirements.txt").write_text("helper_of_tests\n")
    monkeypatch.setattr(tempfile, "tempdir", str(model / "absent"))
    with pytest.raises(InstallError, match=r"requirements.txt was not installed: .*absent"):
        asyncio.run(Packages(model, Children()).install())


@pytest.mark.contract("MHCS-04")
def test_arguments_of_pip_that_cannot_be_split_are_named(start, model, temporary):
    (model / "code" / "requirements.txt").write_text("helper_of_tests\n")
    server = start(HANDLER, TMPDIR=temporary, **{**OFFLINE, "STANDARD_PIP_ARGS": "--index-url 'http"})
    assert server.process.wait(60) == 1
    assert server.log.startswith("STANDARD_PIP_ARGS=")
    assert "Traceback" not in server.log
