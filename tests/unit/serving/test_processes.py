"""What happens to requests when processes start, hang, crash and stop."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.unit.serving.conftest import eventually, is_alive
from tests.unit.serving.gated import GATED, begun, ready


@pytest.mark.contract("HOST-43", "HOST-46", "HOST-30")
def test_ping_is_503_until_a_worker_has_loaded_the_model(start, tmp_path):
    server = start(GATED, SAGEMAKER_MODEL_SERVER_WORKERS=1)
    eventually(lambda: server.ping() is not None, "it listens")
    assert server.ping() == 503
    early = server.post(b"1")
    assert early.status == 503
    assert early.json["retry_after_seconds"] == 1
    (tmp_path / "load").touch()
    server.wait_until_ready()
    assert server.post(b"1").status == 200


@pytest.mark.contract("HOST-43")
def test_ping_stays_200_while_the_only_worker_begins_anew_and_requests_wait_for_it(start, tmp_path):
    server = ready(start, tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS=1)
    (tmp_path / "load").unlink()
    assert server.post(b"exit").status == 503
    with ThreadPoolExecutor() as clients:
        waiting = clients.submit(server.post, b"1")
        assert [server.ping() for _ in range(20)] == [200] * 20
        assert not waiting.done()
        (tmp_path / "load").touch()
        assert waiting.result().status == 200


@pytest.mark.contract("HOST-43")
def test_ping_is_503_when_no_worker_comes_back_in_the_time_that_requests_wait(start, tmp_path):
    server = ready(
        start, tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS=1, SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS=1
    )
    (tmp_path / "load").unlink()
    assert server.post(b"exit").status == 503
    eventually(lambda: server.ping() == 503, "nobody waits any longer")
    (tmp_path / "load").touch()
    server.wait_until_ready()


@pytest.mark.contract("HOST-45")
def test_ping_answers_while_every_worker_is_busy(start, tmp_path):
    server = ready(start, tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS=2)
    with ThreadPoolExecutor() as clients:
        replies = [clients.submit(server.post, b"wait") for _ in range(3)]
        eventually(lambda: len(begun(tmp_path)) == 2, "both workers are busy")
        assert [server.ping() for _ in range(20)] == [200] * 20
        assert not any(reply.done() for reply in replies)
        (tmp_path / "go").touch()
        assert [reply.result().status for reply in replies] == [200] * 3


@pytest.mark.contract("HOST-55", "BATCH-11")
def test_a_full_queue_is_503_with_a_hint_and_the_waiting_requests_are_served(start, tmp_path):
    server = ready(start, tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS=1, SAGEMAKER_MODEL_SERVER_QUEUE_SIZE=2)
    with ThreadPoolExecutor() as clients:
        running = clients.submit(server.post, b"wait")
        eventually(lambda: begun(tmp_path), "the worker is busy")
        others = [clients.submit(server.post, b"1") for _ in range(5)]
        eventually(lambda: sum(reply.done() for reply in others) == 3, "three are sent away")
        refused = [reply.result() for reply in others if reply.done()]
        (tmp_path / "go").touch()
        assert {reply.status for reply in refused} == {503}
        assert all(reply.headers["retry-after"] == "1" for reply in refused)
        assert [reply.result().status for reply in others].count(200) == 2
        assert running.result().status == 200


def test_a_client_that_gives_up_waiting_costs_no_prediction(start, tmp_path):
    server = ready(start, tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS=1)
    with ThreadPoolExecutor() as clients:
        running = clients.submit(server.post, b"wait")
        eventually(lambda: begun(tmp_path), "the worker is busy")
        for _ in range(3):
            with server.connect() as client:
                client.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nmark")
                assert server.ping() == 200  # by then the request before it is in the queue
        assert server.ping() == 200  # and by then the last one has left it
        (tmp_path / "go").touch()
        assert running.result().status == 200
    assert server.post(b"mark").status == 200
    assert (tmp_path / "marks").read_text() == "1"


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"exit", "exited with code 3"),
        (b"segfault", "SIGSEGV"),
    ],
)
def test_a_request_that_kills_its_worker_is_503_and_the_worker_comes_back(start, tmp_path, body, cause):
    server = ready(start, tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS=1)
    before = server.workers
    reply = server.post(body)
    assert reply.status == 503
    assert cause in reply.json["error"]
    server.wait_until_ready()
    assert server.post(b"1").status == 200
    assert server.workers.isdisjoint(before)
    assert cause in server.log


def test_a_dead_worker_whose_child_holds_its_socket_is_noticed_and_the_child_ended(start, tmp_path):
    server = ready(start, tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS=1)
    reply = server.post(b"fork")
    assert (reply.status, "exited with code 4" in reply.json["error"]) == (503, True)
    eventually(lambda: server.post(b"1").status == 200, "a new worker serves")
    if (tmp_path / "child").exists():  # else it was ended before it could write
        child = int((tmp_path / "child").read_text())
        eventually(lambda: not is_alive(child), "the child has ended")


def test_a_worker_killed_under_load_costs_at_most_its_own_request(start, tmp_path):
    server = ready(start, tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS=2)
    victim = min(server.workers)
    stop = threading.Event()

    def client() -> list[int]:
        statuses = []
        while not stop.is_set():
            statuses.append(server.post(b"1").status)
        return statuses

    with ThreadPoolExecutor() as clients:
        loads = [clients.submit(client) for _ in range(6)]
        time.sleep(0.3)
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: len(server.workers - {victim}) == 2, "it is replaced")
        newcomer = max(server.workers)
        eventually(lambda: server.post(b"1").body == str(newcomer).encode(), "the newcomer serves")
        stop.set()
        statuses = [status for load in loads for status in load.result()]
    assert set(statuses) <= {200, 503}
    assert statuses.count(503) <= 1
    assert len(statuses) > 50


@pytest.mark.contract("HOST-50")
def test_a_prediction_over_the_time_out_is_504_and_its_worker_is_replaced(start, tmp_path):
    server = ready(
        start, tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS=1, SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS=1
    )
    before = server.workers
    reply = server.post(b"wait")
    assert reply.status == 504
    assert "SAGEMAKER_MODEL_SERVER_TIMEOUT" in reply.json["error"]
    eventually(lambda: server.post(b"1").status == 200, "a new worker serves")
    assert server.workers.isdisjoint(before)


@pytest.mark.contract("HOST-04", "HOST-05", "HOST-03")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_finishes_requests_in_flight_and_exits_0(start, tmp_path, number):
    server = ready(start, tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS=1, SAGEMAKER_MODEL_SERVER_QUEUE_SIZE=1)
    idle = server.connect()
    with ThreadPoolExecutor() as clients:
        replies = [clients.submit(server.post, b"wait")]
        eventually(lambda: begun(tmp_path), "a request runs")
        others = [clients.submit(server.post, b"1") for _ in range(3)]
        eventually(lambda: sum(reply.done() for reply in others) == 2, "one waits, the others are sent away")
        replies += [reply for reply in others if not reply.done()]
        server.process.send_signal(number)
        eventually(lambda: server.ping() is None, "it accepts no connection any more")
        assert idle.recv(1) == b""
        assert server.process.poll() is None
        (tmp_path / "go").touch()
        assert [reply.result().status for reply in replies] == [200, 200]
        assert replies[0].result().headers["connection"] == "close"
    assert server.process.wait(60) == 0


@pytest.mark.contract("HOST-05")
def test_a_request_that_outlasts_the_drain_does_not_keep_the_container(start, tmp_path):
    (tmp_path / "load").touch()
    server = start(GATED, settings="drain_timeout=0.5", SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()
    with server.connect() as client:
        client.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nwait")
        eventually(lambda: begun(tmp_path), "a request is in flight")
        workers = server.workers
        assert server.stop() == 0
    eventually(lambda: not any(is_alive(worker) for worker in workers), "no orphan is left")


def test_workers_die_with_a_front_that_is_killed_even_while_they_are_busy(start, tmp_path):
    server = ready(start, tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS=2)
    workers = server.workers
    with server.connect() as client:
        client.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nwait")
        eventually(lambda: begun(tmp_path), "a worker is busy")
        server.process.kill()
        server.process.wait()
    eventually(lambda: not any(is_alive(worker) for worker in workers), "no orphan is left")


@pytest.mark.contract("HOST-109")
def test_the_thread_pools_of_workers_share_the_cpus_unless_the_user_says_otherwise(start, tmp_path):
    server = ready(start, tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS=64 if os.cpu_count() > 64 else 2)
    text = server.post(b"environment").body.decode()
    cpus = len(os.sched_getaffinity(0))
    threads = int(re.search(r"^OMP_NUM_THREADS=(\d+)$", text, re.MULTILINE)[1])
    assert 1 <= threads <= max(1, cpus // 2)
    assert f"\nMKL_NUM_THREADS={threads}\n" in f"\n{text}\n"
    server.stop()
    chosen = ready(start, tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS=1, OMP_NUM_THREADS=7)
    assert "\nOMP_NUM_THREADS=7\n" in f"\n{chosen.post(b'environment').body.decode()}\n"
