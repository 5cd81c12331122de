"""The program that carries a request to a server beside it."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading

import pytest

from toolkit.serving.relay import SCRIPT

HANGS = 30  # seconds
PING = b"GET /ping HTTP/1.1\r\nConnection: close\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = {
    "length": (PING, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes"),
    "chunks": (PING, CHUNKED + b"3\r\nyes\r\n2\r\n!!\r\n0\r\n\r\n"),
    "after-100": (PING, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ny"),
    "no-body": (b"HEAD /ping HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"),
}
BROKEN = {
    "nothing": b"",
    "no-http": b"noise\r\n",
    "half-a-body": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nyes",
    "half-a-chunk": CHUNKED + b"9\r\nyes",
    "no-length": b"HTTP/1.0 200 OK\r\n\r\nyes",
}


def carried(request: bytes, answer: bytes, closes: bool) -> bytes:
    """What comes back from a server that gives this answer, and closes the connection or never does."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                received = b""
                while len(received) < len(request):
                    received += connection.recv(1000)
                assert received == request
                connection.sendall(answer)
                if not closes:
                    done.wait(HANGS)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            numbers = [str(server.getsockname()[1]), str(len(request)), str(HANGS)]
            command = [sys.executable, "-c", SCRIPT, *numbers]
            result = subprocess.run(command, input=request, capture_output=True, check=True, timeout=HANGS)
        finally:
            done.set()
            thread.join()
    assert result.stderr == b""
    return result.stdout


@pytest.mark.parametrize(("request_sent", "answer"), WHOLE.values(), ids=WHOLE)
def test_a_whole_answer_comes_back_from_a_server_that_keeps_the_connection(
    request_sent: bytes, answer: bytes
) -> None:
    assert carried(request_sent, answer, closes=False) == answer


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_what_ends_with_the_connection_comes_back_as_it_is(answer: bytes) -> None:
    assert carried(PING, answer, closes=True) == answer
