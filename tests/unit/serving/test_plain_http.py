"""Which heads of requests are remembered by their bytes."""

from __future__ import annotations

import pytest
from opt_ml.serving.http.plain_http import (
    BODY_LIMIT,
    HEAD_LIMIT,
    PlainHead,
    PlainHeads,
    may_become_plain,
    parse_head,
)

POST = b"POST /invocations HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (POST + b"Content-Length: 3\r\n\r\n", PlainHead(3, False, None, None, None)),
        (POST + b"Host: x\r\nconTENT-length:0\r\n\r\n", PlainHead(0, False, None, None, None)),
        (
            POST + b"Content-Type: text/csv; charset=utf-8\r\nAccept: a/b\r\nContent-Length: 9\r\n"
            b"Connection: Keep-Alive\r\nX-Amzn-SageMaker-Inference-Id: mine\r\n\r\n",
            PlainHead(9, False, "text/csv; charset=utf-8", "a/b", "mine"),
        ),
        (b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n", PlainHead(0, True, None, None, None)),
    ],
)
def test_a_plain_head_says_all_that_a_quick_path_needs(head, expected):
    heads = PlainHeads()
    assert heads.learn(head) == heads.known[head] == expected


LENGTH = b"Content-Length: 3\r\n"
SUSPICIOUS = [
    POST + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\n",
    POST + b"Transfer-Encoding : chunked\r\n" + LENGTH + b"\r\n",
    POST + LENGTH + b"Transfer-Encoding: identity\r\n\r\n",
    POST + LENGTH + b"Content-Length: 4\r\n\r\n",
    POST + LENGTH + LENGTH + b"\r\n",
    POST + b"Content-Length: 3, 3\r\n\r\n",
    POST + b"Content-Length: +3\r\n\r\n",
    POST + b"Content-Length: -3\r\n\r\n",
    POST + b"Content-Length: 03\r\n\r\n",
    POST + b"Content-Length: 0x3\r\n\r\n",
    POST + b"Content-Length: 3.0\r\n\r\n",
    POST + b"Content-Length: \r\n\r\n",
    POST + b"Content-Length: 3 3\r\n\r\n",
    POST + b"Content-Length : 3\r\n\r\n",
    POST + b" Content-Length: 3\r\n\r\n",
    POST + b"Content_Length: 3\r\n\r\n",
    POST + b"Content-Length: 99999999999999999999\r\n\r\n",
    POST + b"Content-Length: %d\r\n\r\n" % (BODY_LIMIT + 1),
    POST + b"\r\n",
    POST + b"X: a\r\n Content-Length: 3\r\n" + LENGTH + b"\r\n",
    POST + b"X: a\r\n\tfolded\r\n" + LENGTH + b"\r\n",
    POST + b"X: a\nContent-Length: 9\r\n" + LENGTH + b"\r\n",
    POST + b"X: a\rContent-Length: 9\r\n" + LENGTH + b"\r\n",
    POST + b"X: a\0b\r\n" + LENGTH + b"\r\n",
    POST + b"X\0: a\r\n" + LENGTH + b"\r\n",
    POST + b"X: \xff\r\n" + LENGTH + b"\r\n",
    POST + b"X: \x7f\r\n" + LENGTH + b"\r\n",
    POST + b": a\r\n" + LENGTH + b"\r\n",
    POST + b"no colon\r\n" + LENGTH + b"\r\n",
    POST + LENGTH + b"Expect: 100-continue\r\n\r\n",
    POST + LENGTH + b"Content-Encoding: gzip\r\n\r\n",
    POST + LENGTH + b"Connection: close\r\n\r\n",
    POST + LENGTH + b"Connection: keep-alive, Upgrade\r\nUpgrade: h2c\r\n\r\n",
    POST + LENGTH + b"Connection: Content-Length\r\n\r\n",
    POST + LENGTH + b"Upgrade: websocket\r\n\r\n",
    POST + LENGTH + b"X-Amzn-SageMaker-Session-Id: NEW_SESSION\r\n\r\n",
    POST + LENGTH + b"X: " + b"a" * HEAD_LIMIT + b"\r\n\r\n",
    b"\r\n" + POST + LENGTH + b"\r\n",
    b"POST  /invocations HTTP/1.1\r\n" + LENGTH + b"\r\n",
    b"POST /invocations HTTP/1.0\r\n" + LENGTH + b"\r\n",
    b"POST /invocations HTTP/1.1 \r\n" + LENGTH + b"\r\n",
    b"POST /invocations?x=1 HTTP/1.1\r\n" + LENGTH + b"\r\n",
    b"POST http://x/invocations HTTP/1.1\r\n" + LENGTH + b"\r\n",
    b"post /invocations HTTP/1.1\r\n" + LENGTH + b"\r\n",
    b"GET /invocations HTTP/1.1\r\n" + LENGTH + b"\r\n",
    b"POST /ping HTTP/1.1\r\n" + LENGTH + b"\r\n",
    b"GET /ping HTTP/1.1\r\n" + LENGTH + b"\r\n",
    POST + LENGTH + b"\r\n" + POST + LENGTH + b"\r\n",
]


@pytest.mark.parametrize("head", SUSPICIOUS)
def test_a_head_that_two_readers_could_understand_differently_is_never_remembered(head):
    heads = PlainHeads()
    assert heads.learn(head) is None
    assert heads.known == {}


def test_what_is_remembered_is_bounded():
    heads = PlainHeads()
    for number in range(5000):
        assert heads.learn(POST + b"X-Trace: %d\r\n" % number + LENGTH + b"\r\n") is not None
    assert 0 < len(heads.known) <= 2048


def test_the_beginning_of_a_plain_head_is_told_from_anything_else():
    whole = POST + LENGTH
    assert all(may_become_plain(whole[:end]) for end in range(len(whole)))
    assert not may_become_plain(b"GET /metrics")
    assert not may_become_plain(b"\r\n")
    assert not may_become_plain(POST + b"X: " + b"a" * HEAD_LIMIT)


def test_a_head_that_the_parser_refuses_is_not_plain():
    assert parse_head(b"POST /invocations HTTP/1.1\r\nContent-Length: 3\r\n") is None
