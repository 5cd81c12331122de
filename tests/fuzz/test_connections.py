"""Whatever bytes clients send over connections, the server answers well-formed HTTP and stays what it was."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.bodies import fuzzed
from tests.fuzz.handlers import ANY_VALUES, TABULAR
from tests.fuzz.wire import VOLLEYS, Volley
from tests.unit.serving.conftest import Server, end_all, starter
from tests.unit.serving.quick_image import install, wait_for_lanes

AT_ONCE = 25
QUIET = 0.15  # seconds of silence after which a client has enough; what comes later still stands in the log

_HEAD = re.compile(
    rb"HTTP/1\.1 ([1-5][0-9][0-9]) [A-Za-z][A-Za-z '-]*\r\n(?:[A-Za-z-]+: [\x20-\x7e]*\r\n)*\r\n", re.ASCII
)
_LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]+)\r\n", re.IGNORECASE)
_LOGGED = re.compile(r'.*"status":\s*5\d\d.*')


# The tabular handler as a compiled model would do it, in the server's own processes.
QUICK = """
import quick_image_handler as handler
from opt_ml.errors import RequestError
from opt_ml.serving.answers import Answer, error_answer

class Quick:
    most_rows = 64

    def answer(self, requests):
        return [self.answer_one(*request) for request in requests]

    def answer_one(self, body, content_type, accept):
        try:
            table = handler.input_fn(body, content_type or "")
            if len(table) > 2:
                return None
            return Answer(200, *reversed(handler.output_fn(handler.predict_fn(table, 0), accept or "*/*")))
        except RequestError as error:
            return error_answer(error.status, error.message, error.details)

def load_quick(model_dir):
    return Quick()
"""
LANES = 2


@pytest.fixture(params=["workers", "lanes"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server whose workers do everything, and one whose own processes answer small requests."""
    started: list[Server] = []
    start = starter(tmp_path, started)
    settings = {
        "SAGEMAKER_MODEL_SERVER_WORKERS": 2,
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": 1,
        "OPT_ML_ACCESS_LOG": "all",
    }
    if request.param == "workers":
        yield start(ANY_VALUES, **settings).wait_until_ready()
    else:
        settings["PYTHONPATH"] = install(tmp_path, QUICK, TABULAR)
        yield wait_for_lanes(start(None, settings=f"lanes={LANES + 1}", **settings), LANES)
    end_all(started)


async def exchange(port: int, volley: Volley) -> bytes:
    """Everything that the server says to one client."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    with suppress(ConnectionError):
        for piece in volley.pieces():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        while not volley.leaves:
            try:
                data = await asyncio.wait_for(reader.read(1 << 20), QUIET)
            except TimeoutError:
                break
            if not data:
                break
            received += data
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return received


async def fire(port: int, volleys: list[Volley]) -> list[bytes]:
    return await asyncio.gather(*(exchange(port, volley) for volley in volleys))


def statuses(received: bytes, is_head: bool = False) -> list[int]:
    """The status of each answer; fails where the bytes are no row of answers. The last may be cut."""
    found = []
    while received:
        head = _HEAD.match(received)
        assert head, received[:200]
        found.append(int(head[1]))
        length = _LENGTH.search(head[0])
        assert length or found[-1] == 100, head[0]
        received = received[head.end() + (int(length[1]) if length and not is_head else 0) :]
    return found


@pytest.mark.contract("HOST-35", "HOST-55", "BATCH-07")
def test_no_bytes_make_the_server_fail_or_lose_a_worker(server):
    processes = server.workers

    @fuzzed(1 / AT_ONCE, shrinks=False)
    @given(st.lists(VOLLEYS, min_size=AT_ONCE, max_size=AT_ONCE))
    def shoot(volleys: list[Volley]) -> None:
        for volley, received in zip(volleys, asyncio.run(fire(server.port, volleys)), strict=True):
            if b"HEAD" not in volley.data:  # their answers have a length and no body
                found = statuses(received)
                assert all(status < 500 for status in found), found

    shoot()
    assert server.ping() == 200
    assert processes <= server.workers  # where there are lanes, workers start when they are needed
    assert server.stop() == 0  # what still ran has its line in the log now
    assert "Traceback" not in server.log
    assert '"status":200' in server.log
    assert _LOGGED.findall(server.log) == []


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


UNCLEAR = [
    b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
    b"Content-Length: 0\r\nContent-Length: 44\r\n",
    b"Content-Length: 0, 44\r\n",
    b"Content-Length: +0\r\n",
    b"Content-Length: 0x0\r\n",
    b"Content-Length: \r\n",
    b"Content-Length : 0\r\n",
    b"Content-Length: 0\r\n Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: xchunked\r\n",
    b"Transfer-Encoding: chunked, identity\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Transfer-Encoding: \x0bchunked\r\n",
    b"Transfer-Encoding\x00: chunked\r\n",
    b"X: a\nTransfer-Encoding: chunked\r\n",
    b"X: a\rContent-Length: 0\r\n",
]


def test_a_request_of_unclear_length_is_refused_and_what_follows_is_nobodys(server):
    """A proxy before us may have read its length in another way (RFC 9112, section 11.2)."""
    for headers in UNCLEAR:
        start = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"
        data = start + headers + b"\r\n0\r\n\r\n" + SMUGGLED
        received = asyncio.run(exchange(server.port, Volley(data, [], False)))
        assert statuses(received) == [400], headers
        assert b"Connection: close" in received, headers
    assert server.stop() == 0
    assert "/smuggled" not in server.log
    assert server.log.count('"status":400') == len(UNCLEAR)
