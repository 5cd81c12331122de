"""Bytes to requests, however the network cuts them."""

from __future__ import annotations

import pytest
from opt_ml.serving.http.bodies import BodyMemory
from opt_ml.serving.http.refusals import HEADER_LIMIT
from opt_ml.serving.http.request_reader import Request, RequestReader

LINE = b"POST /invocations HTTP/1.1\r\n"
PING = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"


def read(*pieces: bytes) -> list[tuple[bytes, int | None]]:
    """Target and status of the refusal, if any, of each request."""
    found: list[Request] = []
    reader = RequestReader(found.append, None, BodyMemory(1 << 30), lambda: None)
    for piece in pieces:
        reader.feed(piece)
    return [(request.target, request.refusal and request.refusal.status) for request in found]


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1000, 20_000, 40_000, HEADER_LIMIT])
def test_headers_below_the_limit_are_read_in_pieces_of_any_size(size):
    names = [b"X-%d: %b\r\n" % (number, b"a" * 950) for number in range(66)]
    head = LINE + b"Content-Length: 0\r\n" + b"".join(names) + b"\r\n"
    assert len(head) < HEADER_LIMIT
    assert read(*cut(head, size)) == [(b"/invocations", None)]


@pytest.mark.parametrize("body", [b"1,2\n" * 25_000, b"\0" * 100_000])
def test_a_head_that_begins_behind_a_large_body_is_no_larger_for_it(body):
    first = LINE + b"Content-Length: %d\r\n\r\n" % len(body) + body
    for place in (1, 10, len(PING) - 4):
        assert read(first + PING[:place], PING[place:]) == [(b"/invocations", None), (b"/ping", None)]
        in_body = read(first[:200], first[200:] + PING[:place], PING[place:])
        assert in_body == [(b"/invocations", None), (b"/ping", None)]


@pytest.mark.parametrize("size", [1, 1000, HEADER_LIMIT + 1])
@pytest.mark.parametrize("start", [LINE + b"X: ", LINE + b"X", b"POST /"])
def test_a_line_without_an_end_is_431_at_the_limit(start, size):
    assert read(*cut(start + b"a" * HEADER_LIMIT, size))[0][1] == 431


def test_many_short_headers_are_431_at_the_limit():
    lines = b"".join(b"X-%d: a\r\n" % number for number in range(10_000))
    assert read(LINE + lines)[0][1] == 431
    assert read(*cut(LINE + lines, 5000))[0][1] == 431
