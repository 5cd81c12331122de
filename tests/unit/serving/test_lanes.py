"""The processes beside the leader: who serves what, who counts it, and how they end."""

from __future__ import annotations

import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.unit.serving.conftest import Server, eventually, is_alive
from tests.unit.serving.quick_image import install, lanes, wait_for_lanes
from tests.unit.serving.test_front import json_lines, lines_of
from tests.unit.serving.test_http import post, read_reply
from tests.unit.serving.test_metrics import samples

LANES = 2  # beside the leader


@pytest.fixture
def server(start: Callable[..., Server], tmp_path: Path) -> Server:
    return wait_for_lanes(start(None, PYTHONPATH=install(tmp_path), settings=f"lanes={LANES + 1}"), LANES)


def process_of(client: socket.socket) -> int:
    """Which process answers a client."""
    client.sendall(post(b"process"))
    return int(read_reply(client.makefile("rb"))[2])


def test_clients_are_dealt_out_evenly(server):
    def are_even() -> bool:
        with ExitStack() as stack:
            clients = [stack.enter_context(server.connect()) for _ in range(9)]
            found = [process_of(client) for client in clients]
        is_even = all(found.count(process) == 3 for process in (server.process.pid, *lanes(server)))
        if not is_even:
            time.sleep(1)  # a lane reports four times a second who has gone
        return is_even

    eventually(are_even, "three each, once the lanes have reported who has gone")


def test_metrics_and_log_count_what_lanes_answer(server):
    with ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(3)]
        for client in clients:
            stream = client.makefile("rb")
            for _ in range(100):
                client.sendall(post(b"1"))
                assert read_reply(stream)[0] == 200
            client.sendall(post(b"refused"))
            assert read_reply(stream)[0] == 422
    total = 'requests_total{status="200"}'
    eventually(lambda: samples(server).get(total) == 300, "the lanes have reported")
    assert samples(server)['requests_total{status="422"}'] == 3
    assert samples(server)["request_seconds_count"] == 303
    assert server.stop() == 0
    lines = lines_of(server.log)
    assert sum(line["status"] == 422 for line in lines) == 3
    [summary] = [line for line in json_lines(server.log) if "statuses" in line]
    assert sum(line["status"] == 200 for line in lines) + summary["statuses"]["200"] == 300
    assert 0 <= summary["p50_ms"] <= summary["p99_ms"]


def test_a_killed_lane_takes_only_its_own_clients_with_it_and_is_replaced(server):
    before = lanes(server)
    with ExitStack() as stack:
        clients = {}
        for _ in range(LANES + 1):
            client = stack.enter_context(server.connect())
            clients[process_of(client)] = client
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: not is_alive(victim), "the lane is dead")
        assert clients.pop(victim).recv(1) == b""
        assert [process_of(client) for client in clients.values()] == list(clients)
    eventually(lambda: len(lanes(server) - before) == 1, "another lane")
    wait_for_lanes(server, LANES)
    assert "A lane was killed by SIGKILL" in server.log


def test_clients_that_came_before_the_lanes_were_ready_are_shared_with_them(server):
    for lane in lanes(server):
        os.kill(lane, signal.SIGKILL)
    eventually(lambda: server.log.count("A lane was killed by SIGKILL") == LANES, "the leader knows it")
    with ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(9)]

        def are_even() -> bool:
            found = [process_of(client) for client in clients]  # none of them is lost on the way
            return sorted(found.count(process) for process in set(found)) == [3, 3, 3]

        eventually(are_even, "three each")


def test_lanes_die_with_their_leader(server):
    before = lanes(server)
    server.process.kill()
    server.process.wait()
    for lane in before:
        eventually(lambda lane=lane: not is_alive(lane), "the lane is dead")


class Asking(threading.Thread):
    """Asks on one connection after the other, until nobody listens any more."""

    def __init__(self, server: Server, number: int) -> None:
        super().__init__()
        self.answered = 0
        self.lost: list[BaseException | str] = []
        self.reset = False
        self._server, self._number = server, number

    def run(self) -> None:
        try:
            while not self.reset:
                with self._server.connect() as connection:
                    self._ask(connection)
        except ConnectionRefusedError:
            pass
        except (OSError, IndexError) as error:
            self.lost.append(error)

    def _ask(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        headers: dict[str, str] = {}
        while headers.get("connection") != "close":
            question = b"%d,%d" % (self._number, self.answered)
            try:
                connection.sendall(post(question))
                status, headers, body = read_reply(stream)
            except ConnectionResetError:
                if headers:
                    raise
                self.reset = True
                return
            if status != 200 or not body.endswith(b"|" + question):
                self.lost.append(f"{status} {body!r}")
            self.answered += 1


@pytest.mark.contract("HOST-05", "HOST-04")
def test_no_request_is_lost_when_the_server_stops_under_load(server):
    clients = [Asking(server, number) for number in range(12)]
    for client in clients:
        client.start()
    eventually(lambda: all(client.answered > 20 for client in clients), "all clients are at work")
    assert server.stop() == 0
    for client in clients:
        client.join()
    assert [lost for client in clients for lost in client.lost] == []
    # The kernel resets who comes between the server's last look into the queue and the closing of the socket.
    assert sum(client.reset for client in clients) <= 1


def test_an_idle_client_is_closed_and_a_half_sent_request_is_served_when_the_server_stops(server):
    with ExitStack() as stack:
        halves = [stack.enter_context(server.connect()) for _ in range(LANES + 1)]
        idle = [stack.enter_context(server.connect()) for _ in range(LANES + 1)]
        for client in halves:
            client.sendall(post(b"1,2")[:-1])
        server.process.send_signal(signal.SIGTERM)
        assert [client.recv(1) for client in idle] == [b""] * len(idle)
        for client in halves:
            client.sendall(b"2")
            status, headers, _ = read_reply(client.makefile("rb"))
            assert (status, headers["connection"]) == (200, "close")
    assert server.process.wait(60) == 0


@pytest.mark.contract("PIPE-02", "HOST-30")
def test_no_process_listens_on_another_port(server):
    server.post(b"worker")
    listening = {
        line.split()[9]: int(line.split()[1].rpartition(":")[2], 16)
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if line.split()[3] == "0A"
    }
    ports = set()
    for process in (server.process.pid, *server.workers):
        for descriptor in Path(f"/proc/{process}/fd").iterdir():
            inode = str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]")
            ports |= {listening[inode]} if inode in listening else set()
    assert ports == {server.port}


def test_more_clients_than_descriptors_wait_and_none_is_lost(start, tmp_path):
    limit = 200
    server = start(
        None,
        command=["prlimit", f"--nofile={limit}:{limit}"],
        PYTHONPATH=install(tmp_path),
        SAGEMAKER_MODEL_SERVER_WORKERS=1,
        settings="lanes=2",
    )
    wait_for_lanes(server, 1)
    with ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(2 * limit)]
        for number, client in enumerate(clients):
            client.sendall(post(b"worker %d" % number if number % 2 else b"%d" % number))
        for number, client in enumerate(clients):
            status, _, body = read_reply(client.makefile("rb"))
            assert (status, body.endswith(b"%d" % number)) == (200, True), number
            client.close()
        assert server.stop() == 0
    assert "Traceback" not in server.log


def test_a_lane_without_a_descriptor_loses_no_answer_of_the_others(server):
    lane = min(lanes(server))
    with ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(9 * (LANES + 1))]
        mine = [client for client in clients if process_of(client) == lane]
        free = 1 + max(int(path.name) for path in Path(f"/proc/{lane}/fd").iterdir())
        before = resource.prlimit(lane, resource.RLIMIT_NOFILE)
        resource.prlimit(lane, resource.RLIMIT_NOFILE, (free, before[1]))
        os.kill(lane, signal.SIGSTOP)  # so that it meets all requests at once
        for number, client in enumerate(mine):
            client.sendall(post(b"%d" % number if number else b"worker"))
        os.kill(lane, signal.SIGCONT)
        for number, client in enumerate(mine[1:], start=1):
            assert read_reply(client.makefile("rb"))[2].endswith(b"|%d" % number)
        resource.prlimit(lane, resource.RLIMIT_NOFILE, before)
        assert read_reply(mine[0].makefile("rb"))[2].endswith(b"|worker")
    assert "Traceback" not in server.log
