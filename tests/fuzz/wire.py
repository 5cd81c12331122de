"""Strategies for what comes over a connection: sound and broken HTTP/1.1, in pieces."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import strategies as st

from tests.fuzz.bodies import mutated, shots
from tests.fuzz.seeds import SEEDS

CRLF = b"\r\n"


class Volley(NamedTuple):
    """What one client sends.

    Attributes:
        data: all of it.
        cuts: places, as parts of the whole, at which it makes a pause.
        leaves: it closes the connection without reading.
    """

    data: bytes
    cuts: list[float]
    leaves: bool

    def pieces(self) -> list[bytes]:
        places = sorted(int(cut * len(self.data)) for cut in self.cuts)
        return [
            self.data[start:end] for start, end in zip([0, *places], [*places, len(self.data)], strict=True)
        ]


def _words(text: bytes, *further: bytes) -> st.SearchStrategy[bytes]:
    return st.sampled_from([*text.split(), *further])


_METHOD = _words(b"POST POST POST GET HEAD PUT OPTIONS CONNECT PRI post", b"P ST", b"")
_TARGET = _words(
    b"/invocations /invocations /ping /metrics /execution-parameters /models * // http://x/ping /%2e%2e/ping",
    *(b"", b"/" + b"a" * 70_000, b"/\xff", b"/ping /ping", b"/invocations?a=%00"),
)
_VERSION = _words(b"HTTP/1.1 HTTP/1.1 HTTP/1.1 HTTP/1.0 HTTP/2.0 HTTP/0.9 http/1.1 X", b"")
_NAME = _words(
    b"Host Content-Type Accept Connection Expect Upgrade Content-Encoding Trailer TE Content-Length "
    b"Transfer-Encoding content_length X-Amzn-SageMaker-Custom-Attributes Sec-WebSocket-Key HTTP2-Settings",
    *(b"Content-Length ", b" Transfer-Encoding", b"\x00", b"", b"X" * 3000),
)
_VALUE = st.binary(max_size=12) | _words(
    b"0 5 +5 -1 5,6 0x5 1e3 99999999999999999999 18446744073709551616 chunked identity xchunked chunked;q=1 "
    b"close keep-alive Upgrade 100-continue websocket h2c text/csv",
    *(b"5, 5", b"5 ", b"chunked, chunked", b"gzip, chunked", b"\x0bchunked", b"close, upgrade", b"a\r\n b"),
    *(b"\x00", b"\xff\xfe", b"a" * 9000, b'"', b"", b"\t"),
)
_HEADERS = st.lists(st.tuples(_NAME, _VALUE), max_size=5)
_END = st.sampled_from([*[CRLF] * 4, b"\n", b"\r", b"", CRLF * 2])
_SIZE = _words(b"5 0 0005 5;name=value g -1 FFFFFFFFFFFFFFFFF 0x5", b"", b" 5", b"5\t")
_CHUNKS = st.lists(st.tuples(_SIZE, st.binary(max_size=8) | st.just(b"1,2,3")), max_size=4)


def _request(
    line: tuple[bytes, bytes, bytes], headers: list[tuple[bytes, bytes]], body: bytes, end: bytes
) -> bytes:
    lines = [b" ".join(line), b"Host: x", *(name + b": " + value for name, value in headers)]
    return end.join(lines) + end + end + body


def _sound(body: bytes, content_type: str | None, accept: str | None) -> bytes:
    headers = [(b"Content-Length", b"%d" % len(body))]
    for name, value in ((b"Content-Type", content_type), (b"Accept", accept)):
        if value is not None:
            headers.append((name, value.encode("latin-1", "replace")))
    return _request((b"POST", b"/invocations", b"HTTP/1.1"), headers, body, CRLF)


def _chunked(chunks: list[tuple[bytes, bytes]], trailer: list[tuple[bytes, bytes]], end: bytes) -> bytes:
    body = b"".join(size + end + data + end for size, data in chunks) + b"0" + end
    body += b"".join(name + b": " + value + end for name, value in trailer) + end
    return _request((b"POST", b"/invocations", b"HTTP/1.1"), [(b"Transfer-Encoding", b"chunked")], body, CRLF)


SOUND = shots().map(lambda shot: _sound(*shot))
_ODD = st.builds(
    _request,
    st.tuples(_METHOD, _TARGET, _VERSION),
    _HEADERS,
    st.sampled_from(SEEDS["text/csv"]) | st.binary(max_size=20),
    _END,
)
_PIECE = SOUND | _ODD | st.builds(_chunked, _CHUNKS, st.lists(st.tuples(_NAME, _VALUE), max_size=2), _END)
_PLAIN = _sound(b"1,2,3,4\n", "text/csv", None)
_DATA = (
    _PIECE
    | mutated([_PLAIN, _PLAIN * 3, _chunked([(b"8", b"1,2,3,4\n")], [], CRLF)])
    | st.lists(_PIECE, min_size=2, max_size=4).map(b"".join)
    | st.binary(max_size=100)
)

VOLLEYS = st.builds(
    Volley, _DATA, st.lists(st.floats(0, 1), max_size=3), st.sampled_from([False, False, False, True])
)
