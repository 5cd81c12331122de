"""How the server starts, shows its health and stops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import pytest

from tests.conformance.diagnosis import written
from tests.conformance.endpoints import request_headers
from tests.conformance.profile import Profile
from tests.conformance.test_image import INITS
from toolkit.artifacts import model_directory
from toolkit.serving.endpoint import Endpoint, EndpointError

Rows = Callable[[int], bytes]


def assert_predicts(endpoint: Endpoint, rows: Rows, profile: Profile) -> None:
    response = endpoint.invoke(rows(2), profile.content_type, profile.accept)
    assert response.status == 200, f"{response.text}\n{endpoint.logs()}"


@pytest.mark.contract("HOST-01", "HOST-02", "HOST-20", "HOST-21", "HOST-30", "HOST-31", "HOST-40")
@pytest.mark.foundation
def test_serve_becomes_healthy_and_predicts(endpoint: Endpoint, rows: Rows, profile: Profile) -> None:
    assert endpoint.ping().status == 200
    assert_predicts(endpoint, rows, profile)


@pytest.mark.contract("HOST-21")
def test_serving_writes_nothing_below_the_model(endpoint: Endpoint, rows: Rows, profile: Profile) -> None:
    assert_predicts(endpoint, rows, profile)
    assert not (found := written(endpoint)), found["HOST-21"]


@pytest.mark.contract("HOST-32")
def test_ping_may_be_posted(endpoint: Endpoint) -> None:
    assert endpoint.request("POST", "/ping").status == 200


@pytest.mark.contract("HOST-07", "TRAIN-05")
def test_the_main_process_is_no_init(endpoint: Endpoint) -> None:
    program, *_ = endpoint.container.main_process().split()
    assert PurePosixPath(program).name not in INITS


@pytest.mark.contract("HOST-45")
def test_ping_answers_while_every_worker_is_busy(endpoint: Endpoint, rows: Rows, profile: Profile) -> None:
    body, done, statuses = rows(20_000), threading.Event(), []

    def flood() -> None:
        while not done.is_set():
            statuses.append(endpoint.invoke(body, profile.content_type, profile.accept).status)

    threads = [threading.Thread(target=flood) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(1)
        pings = [endpoint.ping().status for _ in range(10)]  # each within the rule's 2 s, or an exception
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert pings == [200] * 10
    # HOST-55: an overloaded server may say so
    assert statuses
    assert set(statuses) <= {200, 429, 503}


@pytest.mark.contract("HOST-22", "HOST-43", "HOST-46")
@pytest.mark.needs("model_file")
def test_a_model_that_cannot_be_loaded_is_never_healthy(image: str, model: Path, tmp_path: Path) -> None:
    with model_directory(model) as directory:
        names = [path.relative_to(directory) for path in directory.rglob("*") if path.is_file()]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(EndpointError), Endpoint(image, tmp_path, start_limit=15):
        pass


@pytest.mark.contract("HOST-43")
def test_the_first_healthy_moment_is_one_of_a_loaded_model(
    image: str, model: Path, rows: Rows, profile: Profile
) -> None:
    with Endpoint(image, model, wait=False) as starting:
        starting.wait_until_healthy()
        assert_predicts(starting, rows, profile)


@pytest.mark.contract("HOST-03", "HOST-04", "HOST-05")
def test_sigterm_ends_the_server_in_time_and_cleanly(image: str, model: Path) -> None:
    with Endpoint(image, model) as running:
        stop = running.stop()
    assert stop.by_itself, f"it was killed after {stop.duration} s"
    assert stop.exit_code == 0


@pytest.mark.contract("HOST-05")
def test_a_request_that_is_being_answered_is_finished_before_the_end(
    image: str, model: Path, rows: Rows, profile: Profile, start_limit: float
) -> None:
    count = 100_000
    body = rows(count)
    headers = {**request_headers(profile), "Content-Length": str(len(body))}
    with Endpoint(image, model, start_limit=start_limit) as running:
        # Once before: what is loaded for the first of such requests would take its time out of the 30 s.
        assert running.invoke(body, profile.content_type, profile.accept).status == 200
        connection = running.connect()
        connection.request("POST", "/invocations", body, headers)
        time.sleep(0.5)  # the server has the request; whether it is still busy is its own affair
        with ThreadPoolExecutor() as pool:
            stopped = pool.submit(running.stop)
            answer = connection.getresponse()
            answered = answer.read().decode()
            assert answer.status == 200
            assert profile.answers(answered, count)
            assert stopped.result().by_itself
        connection.close()


@pytest.mark.contract("PIPE-01")
@pytest.mark.needs("pipeline")
def test_the_port_of_the_platform_is_used(
    image: str, model: Path, rows: Rows, profile: Profile, start_limit: float
) -> None:
    with Endpoint(
        image, model, environment={"SAGEMAKER_BIND_TO_PORT": "9999"}, start_limit=start_limit
    ) as moved:
        assert_predicts(moved, rows, profile)


@pytest.mark.contract("HOST-114", "HOST-115")
@pytest.mark.needs("python")
def test_serve_needs_no_network(
    image: str, model: Path, rows: Rows, profile: Profile, start_limit: float
) -> None:
    with Endpoint(image, model, isolated=True, start_limit=start_limit) as isolated:
        assert_predicts(isolated, rows, profile)


@pytest.mark.contract("HOST-92", "HOST-93")
def test_any_user_can_serve_where_only_tmp_is_writable(
    image: str, model: Path, rows: Rows, profile: Profile, start_limit: float
) -> None:
    with Endpoint(image, model, user="31415:27182", read_only=True, start_limit=start_limit) as narrow:
        assert_predicts(narrow, rows, profile)
