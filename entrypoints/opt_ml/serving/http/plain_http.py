"""Requests that need no general parser: a whole POST /invocations or GET /ping of HTTP/1.1.

A client on a kept connection sends the same head again and again, one for each length of a body. So heads
are remembered *by their bytes*: a known one costs a search and a look into a dict, 0.2 us, where parsing it
costs 4 to 5.

Everything else, and everything in doubt, is for `serving.connection`, which has the full parser.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import httptools

HEAD_LIMIT = 2048
"""Bytes of a head; a longer one is not plain."""
BODY_LIMIT = 64 * 1024
"""Bytes of a body, likewise."""
_MOST_HEADS = 2048  # remembered; with HEAD_LIMIT they bound the memory
_STARTS = (b"POST /invocations HTTP/1.1\r\n", b"GET /ping HTTP/1.1\r\n")
# Stricter than RFC 9112 asks: no folded line, bare CR or LF, NUL, or byte outside of ASCII. The parser sees
# the head too; what two readers could understand differently is none of ours.
_HEAD = re.compile(
    rb"(?:POST /invocations|GET /ping) HTTP/1\.1\r\n"
    rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e]*\r\n)*\r\n"
)
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,5}")
NOT_QUICK = frozenset({b"x-amzn-sagemaker-session-id"})
"""Headers of requests that belong to a handler."""
_NOT_PLAIN = NOT_QUICK | {b"content-encoding", b"expect", b"te", b"trailer", b"transfer-encoding", b"upgrade"}


class PlainHead(NamedTuple):
    """What the head of a plain request says.

    Attributes:
        length: bytes of the body.
        is_ping: GET /ping, which has no body.
        request_id: the client's name for the request, or None.
    """

    length: int
    is_ping: bool
    content_type: str | None
    accept: str | None
    request_id: str | None


class PlainHeads:
    """The heads that were seen lately.

    Attributes:
        known: by the bytes of the head, with the empty line at its end. Read it; only `learn` writes.
    """

    def __init__(self) -> None:
        self.known: dict[bytes, PlainHead] = {}

    def learn(self, head: bytes) -> PlainHead | None:
        """Parse a head and remember it; None where the request is not plain."""
        plain = parse_head(head)
        if plain is not None:
            if len(self.known) >= _MOST_HEADS:  # each head has something of its own, such as a request id
                self.known.clear()
            self.known[head] = plain
        return plain


def may_become_plain(data: bytes) -> bool:
    """True where `data`, which holds no whole head, could be the beginning of a plain one."""
    return len(data) < HEAD_LIMIT and any(data.startswith(start[: len(data)]) for start in _STARTS)


def parse_head(head: bytes) -> PlainHead | None:
    """What a head says, or None where the request is not plain.

    Args:
        head: everything before the body, with the empty line at its end.
    """
    if len(head) > HEAD_LIMIT or not _HEAD.fullmatch(head):
        return None
    parsed = _ParsedHead()
    parser = httptools.HttpRequestParser(parsed)
    try:
        parser.feed_data(head)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    headers = parsed.headers
    if not parsed.is_complete or parsed.has_repeated or not _NOT_PLAIN.isdisjoint(headers):
        return None
    if not parser.should_keep_alive() or headers.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    is_ping = head.startswith(b"GET")
    length = headers.get(b"content-length", b"0" if is_ping else b"")
    if not _LENGTH.fullmatch(length) or int(length) > (0 if is_ping else BODY_LIMIT):
        return None
    return PlainHead(
        int(length),
        is_ping,
        _text(headers.get(b"content-type")),
        _text(headers.get(b"accept")),
        _text(headers.get(b"x-amzn-sagemaker-inference-id")),
    )


class _ParsedHead:
    """Collects what httptools finds."""

    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.has_repeated = False
        self.is_complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        self.has_repeated = self.has_repeated or name in self.headers
        self.headers[name] = value

    def on_headers_complete(self) -> None:
        self.is_complete = True


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
