"""The HTTP surface of a running server, over real sockets."""

from __future__ import annotations

import json
import socket
import threading

import pytest

POST = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: %d\r\n%b\r\n%b"


def post(body: bytes, more: bytes = b"") -> bytes:
    return POST % (len(body), more, body)


def read_reply(stream) -> tuple[int, dict[str, str], bytes]:
    status = int(stream.readline().split()[1])
    headers = {}
    while line := stream.readline().strip():
        name, _, value = line.decode().partition(": ")
        headers[name.lower()] = value
    return status, headers, stream.read(int(headers.get("content-length", 0)))


@pytest.mark.contract("HOST-31", "HOST-32", "HOST-40")
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_ping_answers_200_with_an_empty_body_to_get_and_post(echo, method):
    reply = echo.request(method, "/ping")
    assert (reply.status, reply.body) == (200, b"")


@pytest.mark.contract("HOST-53", "HOST-57", "HANDLER-11")
def test_missing_content_type_and_accept_become_json_for_a_users_handler(echo):
    with echo.connect() as client:
        client.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        status, headers, body = read_reply(client.makefile("rb"))
    assert status == 200
    assert headers["content-type"] == "application/json"
    assert json.loads(body)["type"] == json.loads(body)["accept"] == "application/json"


@pytest.mark.contract("HOST-58", "HOST-34", "HOST-59", "HANDLER-07")
def test_parameters_reach_the_handler_and_unknown_headers_are_ignored(echo):
    custom = {"X-Amzn-SageMaker-Custom-Attributes": "a=b", "X-Whatever": "1"}
    reply = echo.post(b"1,2", "Text/CSV; charset=utf-8", Accept="text/csv", **custom)
    assert reply.json["type"] == "Text/CSV; charset=utf-8"
    assert reply.json["body"] == "1,2"
    assert reply.headers["content-type"] == "text/csv"


@pytest.mark.contract("HANDLER-07")
def test_a_body_that_is_no_text_type_reaches_the_handler_as_bytes(echo):
    assert echo.post(b"\xff\xfe\x00", "application/x-npy").json["body"] == 3


@pytest.mark.parametrize("encoding", ["gzip", "GZIP, identity", "br"])
def test_a_packed_body_is_415_that_names_the_encoding(echo, encoding):
    reply = echo.post(b"1,2", **{"Content-Encoding": encoding})
    assert reply.status == 415
    assert encoding in reply.json["error"]
    assert echo.post(b"1,2", **{"Content-Encoding": "identity"}).status == 200


@pytest.mark.contract("HOST-35")
@pytest.mark.parametrize("path", ["/", "/models", "/ping/", "/pingx", "*", "/%00"])
def test_an_unknown_path_is_404(echo, path):
    reply = echo.request("GET", path)
    assert reply.status == 404
    assert "/invocations" in reply.json["error"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/invocations", "POST"),
        ("PUT", "/ping", "GET, POST"),
        ("DELETE", "/invocations", "POST"),
        ("HEAD", "/ping", "GET, POST"),
    ],
)
def test_another_method_is_405_with_allow(echo, method, path, allow):
    reply = echo.request(method, path)
    assert reply.status == 405
    assert reply.headers["allow"] == allow
    assert (reply.body == b"") == (method == "HEAD")


@pytest.mark.parametrize("target", [b"/ping?x=1", b"http://host:8080/ping", b"http://host/ping?y"])
def test_a_query_or_a_whole_address_names_the_same_path(echo, target):
    with echo.connect() as client:
        client.sendall(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % target)
        assert read_reply(client.makefile("rb"))[0] == 200


@pytest.mark.contract("BATCH-07")
def test_a_chunked_body_is_put_together(echo):
    reply = echo.request("POST", "/invocations", iter([b"1,", b"2\n", b"3,4"]), {"Content-Type": "text/csv"})
    assert reply.json["body"] == "1,2\n3,4"


@pytest.mark.contract("HOST-33")
def test_many_requests_share_one_connection(echo):
    with echo.connect() as client:
        stream = client.makefile("rb")
        for number in range(20):
            client.sendall(post(b"%d" % number))
            status, headers, body = read_reply(stream)
            assert (status, json.loads(body)["body"]) == (200, str(number))
            assert "connection" not in headers


def test_pipelined_requests_are_answered_in_their_order(echo):
    bodies = [b"slow", b"1", b"bug", b"2"]
    ping = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
    with echo.connect() as client:
        client.sendall(b"".join(post(body) for body in bodies) + ping + post(b"3"))
        stream = client.makefile("rb")
        replies = [read_reply(stream) for _ in range(6)]
    assert [reply[0] for reply in replies] == [200, 200, 500, 200, 200, 200]
    assert [json.loads(replies[index][2])["body"] for index in (0, 1, 3, 5)] == ["slow", "1", "2", "3"]


def test_a_request_that_comes_byte_by_byte_is_one_request(echo):
    with echo.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in post(b"1,2,3"):
            client.sendall(bytes([byte]))
        assert json.loads(read_reply(client.makefile("rb"))[2])["body"] == "1,2,3"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /invocations HTTP/1.0\r\nContent-Type: text/csv\r\nContent-Length: 1\r\n\r\n1",
        b"POST /invocations HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n1",
        post(b"1", b"Connection: close\r\n"),
    ],
)
def test_http_1_0_and_connection_close_end_the_connection_after_the_answer(echo, request_bytes):
    with echo.connect() as client:
        client.sendall(request_bytes)
        stream = client.makefile("rb")
        status, headers, _ = read_reply(stream)
        assert (status, headers["connection"], stream.read()) == (200, "close", b"")


def test_the_client_that_expects_100_continue_gets_it_before_it_sends_the_body(echo):
    head, _, body = post(b"1,2", b"Expect: 100-continue\r\n").partition(b"\r\n\r\n")
    with echo.connect() as client:
        client.sendall(head + b"\r\n\r\n")
        stream = client.makefile("rb")
        assert stream.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert stream.readline() == b"\r\n"
        client.sendall(body)
        assert read_reply(stream)[0] == 200


def test_a_body_over_the_limit_is_refused_before_it_is_sent(echo):
    with echo.connect() as client:
        head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
        client.sendall(head % (1024 * 1024 + 1))
        status, headers, body = read_reply(client.makefile("rb"))
    assert (status, headers["connection"]) == (413, "close")
    assert "1 MB" in json.loads(body)["error"]


@pytest.mark.contract("HOST-51")
def test_a_body_over_the_limit_is_413_and_the_client_can_read_why(echo):
    assert echo.post(bytes(3 * 1024 * 1024)).status == 413
    chunks = iter([bytes(1024 * 1024), bytes(1024 * 1024)])
    assert echo.request("POST", "/invocations", chunks).status == 413
    exact = echo.post(bytes(1024 * 1024), "application/octet-stream")
    assert exact.json["body"] == 1024 * 1024


@pytest.mark.parametrize(
    "garbage",
    [
        b"GARBAGE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"POST /invocations HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /invocations HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /ping HTTP/9.9\r\n\r\n",
    ],
)
def test_malformed_http_is_400_and_the_end_of_the_connection(echo, garbage):
    with echo.connect() as client:
        client.sendall(garbage)
        stream = client.makefile("rb")
        status, headers, body = read_reply(stream)
        assert (status, headers["connection"], stream.read()) == (400, "close", b"")
    assert json.loads(body)["error"].startswith("Malformed HTTP")


def test_garbage_after_a_good_request_is_answered_after_it(echo):
    with echo.connect() as client:
        client.sendall(post(b"slow") + b"GARBAGE\r\n\r\n")
        stream = client.makefile("rb")
        assert [read_reply(stream)[0], read_reply(stream)[0]] == [200, 400]
        assert stream.read() == b""


@pytest.mark.parametrize(
    "headers",
    [
        b"X-Long: " + b"x" * 200_000,
        b"".join(b"X-%d: %b\r\n" % (number, b"x" * 1000) for number in range(100)),
    ],
)
def test_huge_headers_are_431(echo, headers):
    with echo.connect() as client:
        client.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n" + headers)
        assert read_reply(client.makefile("rb"))[0] == 431


def test_an_offer_to_upgrade_is_ignored(echo):
    offer = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    with echo.connect() as client:
        stream = client.makefile("rb")
        for _ in range(2):
            client.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n%b\r\n" % offer + post(b"1", offer))
            assert [read_reply(stream)[0], read_reply(stream)[0]] == [200, 200]


@pytest.mark.parametrize("part", [post(b"slow"), post(b"slow")[:-2], b"POST /invoc", b""])
def test_a_client_that_disconnects_early_harms_nobody(echo, part):
    for _ in range(5):
        with echo.connect() as client:
            client.sendall(part)
    assert echo.post(b"1").status == 200
    assert len(echo.workers) == 2


def test_a_client_that_does_not_read_blocks_nobody(echo):
    with echo.connect() as client:
        client.sendall(post(b"big3000000") * 50)
        assert echo.post(b"1").status == 200
        stream = client.makefile("rb")
        assert all(len(read_reply(stream)[2]) == 3_000_000 for _ in range(50))


def test_a_client_that_never_reads_can_go_away(echo):
    for _ in range(3):
        with echo.connect() as client:
            client.sendall(post(b"big3000000") * 20)
    assert echo.post(b"1").status == 200


@pytest.mark.contract("HOST-33")
def test_many_clients_at_once_get_their_own_answers(echo):
    wrong = []

    def client(number: int) -> None:
        for turn in range(20):
            body = f"{number},{turn}"
            if echo.post(body).json["body"] != body:
                wrong.append(body)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.contract("HOST-55", "HANDLER-10")
@pytest.mark.parametrize(
    ("body", "status", "content"),
    [
        (b"refused", 422, {"error": "row 1: refused", "row": 1}),
        (b"bad", 400, {"error": "ValueError: no such thing as bad"}),
        (b"bug", 500, {"error": "ZeroDivisionError: division by zero"}),
        (b"\xff", 400, None),
    ],
)
def test_a_mistake_in_a_request_is_4xx_and_a_bug_is_500_with_the_cause(echo, body, status, content):
    reply = echo.post(body)
    assert reply.status == status
    assert reply.headers["content-type"] == "application/json"
    assert content is None or reply.json == content
    assert b"Traceback" not in reply.body
    assert echo.post(b"1").status == 200


def test_the_traceback_of_a_bug_is_in_the_log(echo):
    echo.post(b"bug")
    assert "ZeroDivisionError" in echo.log
    assert "Traceback" in echo.log
