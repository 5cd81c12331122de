"""Target: a quick connection and the general reader understand the same bytes as the same requests.

Both could take a request's length, headers or end in another way, and then a client's bytes would be another
client's request (RFC 9112, section 11.2). An input is what one client sends, and at its end `_CONTROLS`
bytes: where the network cuts it, and what happens meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from opt_ml.serving.answers import Answer
from opt_ml.serving.http import plain_http
from opt_ml.serving.http.bodies import BodyMemory
from opt_ml.serving.http.plain_http import PlainHeads
from opt_ml.serving.http.request_reader import Request, RequestReader
from opt_ml.serving.quick import QuickRequest, quick_connection
from opt_ml.serving.quick.quick_connection import AnswerHeads, QuickConnection
from opt_ml.serving.workers.joiner import Asker, Guard, Joiner

# So that short inputs reach the limits, in the order in which they are.
plain_http.HEAD_LIMIT = quick_connection.HEAD_LIMIT = 256
plain_http.BODY_LIMIT = quick_connection.BODY_LIMIT = 300
quick_connection._MOST_AHEAD = 556
_MAX_BODY = 1500

_CONTROLS = 4  # three cuts and the flags
_QUIET = 8  # turns of the event loop in which nothing happens any more
_UNWELL, _STALLS, _REFUSES = 1, 2, 4  # GET /ping is not ours; the client does not read; a worker must answer

_POST = b"POST /invocations HTTP/1.1\r\n"
_PLAIN = _POST + b"Host: x\r\nContent-Type: text/csv\r\nAccept: */*\r\nContent-Length: 7\r\n\r\n1,2,3,4"
_NAMED = _POST + b"X-Amzn-SageMaker-Inference-Id: mine\r\nConnection: Keep-Alive\r\ncontent-length:1\r\n\r\n5"
_PING = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
_CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\n1,2,3\r\n0\r\nTrailer: a\r\n\r\n"
_UPGRADE = b"GET /invocations HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
_CLOSES = _POST + b"Connection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n12"
_WHOLES = (_PLAIN, _NAMED, _PING, _CHUNKED, _UPGRADE, _CLOSES, _PLAIN * 3, _PING + _PLAIN + _PING + _CHUNKED)
SEEDS = [
    whole + controls for whole in _WHOLES for controls in (bytes(4), b"\x08\x80\xf0\x00", b"\x30\x60\x90\x07")
]
WORDS = [
    *_PLAIN.split(),
    *_NAMED.split(),
    *_PING.split(),
    *_CHUNKED.split(),
    *_UPGRADE.split(),
    *_CLOSES.split(),
]
WORDS += [
    b"\r\n",
    b"\r\n\r\n",
    b"\n\n",
    b"\r",
    b"\r\n ",
    b": ",
    b" :",
    b"Content-Length: 0\r\n",
    b"TE: trailers\r\n",
]
WORDS += [
    b"HTTP/1.0",
    b"HEAD ",
    b"CONNECT ",
    b"Transfer-Encoding: identity\r\n",
    b"Content-Encoding: gzip\r\n",
]
WORDS += [
    b"Content-Length: 301\r\n",
    b"18446744073709551616",
    b"X-Amzn-SageMaker-Session-Id: a\r\n",
    b"h2c",
    b"a" * 250,
]


class Understood(NamedTuple):
    """What the general reader makes of one request; of a refused one, nothing but the refusal matters."""

    refusal: Answer | None
    method: bytes = b""
    target: bytes = b""
    headers: Mapping[bytes, bytes] = {}
    body: bytes = b""
    keep_alive: bool = False
    is_upgrade: bool = False


def attempt(data: bytes) -> None:
    """Read one client's bytes in each way.

    Raises:
        AssertionError: the ways differ.
    """
    controls = data[-_CONTROLS:].rjust(_CONTROLS, b"\0")
    sent = data[:-_CONTROLS]
    cuts = sorted(len(sent) * cut // 256 for cut in controls[:-1])
    pieces = [sent[start:end] for start, end in pairwise([0, *cuts, len(sent)]) if start < end]
    expected = _read([sent])
    in_pieces = _read(pieces)
    assert in_pieces == expected, f"whole:     {expected}\nin pieces: {in_pieces}"
    endpoint = _Endpoint(controls[-1])
    _LOOP.run_until_complete(endpoint.serve(deque(pieces)))
    plain = [_plain(one) for one in expected[: len(endpoint.taken)]]
    assert endpoint.taken == plain, f"general: {expected}\nquick:   {endpoint.taken}"
    left = expected[len(plain) :]
    assert endpoint.left == left, f"general:   {left}\nleft to it: {endpoint.left}"
    if _FAULTS:
        raise AssertionError(str(_FAULTS))


_LOOP = asyncio.new_event_loop()
_FAULTS: list[dict[str, Any]] = []
_LOOP.set_exception_handler(lambda loop, fault: _FAULTS.append(fault))


def _read(pieces: Sequence[bytes]) -> list[Understood]:
    """By the general reader."""
    found: list[Request] = []
    reader = RequestReader(found.append, _MAX_BODY, BodyMemory(1 << 20), lambda: None)
    for piece in pieces:
        reader.feed(piece)
    return [
        Understood(one.refusal)
        if one.refusal is not None
        else Understood(None, one.method, one.target, one.headers, one.body, one.keep_alive, one.is_upgrade)
        for one in found
    ]


def _plain(one: Understood) -> tuple[bytes, str | None] | None:
    """The answer of `_Endpoint` to a request and its name, if it may be answered there at all."""
    if one.refusal is not None or one.is_upgrade or not one.keep_alive:
        return None
    if (one.method, one.target, one.body) == (b"GET", b"/ping", b""):
        return b"", None
    if (one.method, one.target) != (b"POST", b"/invocations"):
        return None
    names = (b"content-type", b"accept", b"x-amzn-sagemaker-inference-id")
    found = (one.headers.get(name) for name in names)
    content_type, accept, request_id = (None if value is None else value.decode("latin-1") for value in found)
    return _echo(QuickRequest(one.body, content_type, accept)), request_id


def _echo(request: QuickRequest) -> bytes:
    return repr(tuple(request)).encode()


class _Endpoint:
    """The process and the client of one quick connection, without sockets.

    Attributes:
        taken: the answers that it wrote itself, and the names of their requests.
        left: what the general reader made of the rest.
    """

    most_rows = 4

    def __init__(self, flags: int) -> None:
        self.now = 0.0
        self.is_healthy = not flags & _UNWELL
        self.plain_heads = PlainHeads()
        self.answer_heads = AnswerHeads()
        self.quick_connections: set[QuickConnection] = set()
        self.taken: list[tuple[bytes, str | None]] = []
        self.left: list[Understood] = []
        self._flags = flags
        self._given: list[bytes] | None = None  # to the general reader
        self._is_paused = False
        self._is_stalled = False

    async def serve(self, pieces: deque[bytes]) -> None:
        """Send `pieces`, one a turn of the event loop, to the end of all that comes of them."""
        self.joiner = Joiner(Guard(self), self._on_answered)
        connection = QuickConnection(self)
        connection.connection_made(self)
        quiet = 0
        while quiet < _QUIET:
            before = len(self.taken), len(pieces), self._is_stalled
            if self._given is not None:
                self._given += pieces
                pieces.clear()
                break
            if pieces and not self._is_paused:
                connection.data_received(pieces.popleft())
            await asyncio.sleep(0)
            self._let_stall(connection)
            quiet = quiet + 1 if before == (len(self.taken), len(pieces), self._is_stalled) else 0
        assert not pieces, "the client is not read any more"
        self.now = 100.0
        connection.look_after(1000.0)
        self.left = _read(self._given or [])

    def answer(self, requests: Sequence[QuickRequest]) -> list[Answer | None]:
        """See `Quick`."""
        most = 3 if self._flags & _REFUSES else _MAX_BODY
        return [
            Answer(200, "text/plain", _echo(request)) if len(request.body) <= most else None
            for request in requests
        ]

    def _on_answered(self, askers: Sequence[Asker], answers: Sequence[Answer | None], seconds: float) -> None:
        [asker], [answer] = askers, answers
        if answer is not None:
            self.taken[-1] = (self.taken[-1][0], asker.request_id)

    def hand_over(self, transport: Any, received: bytes) -> bool:
        """See `QuickServer`."""
        self._given = [received]
        return True

    def _let_stall(self, connection: QuickConnection) -> None:
        if self._is_stalled:
            self._is_stalled = False
            connection.resume_writing()
        elif self._flags & _STALLS and self.taken:
            self._flags &= ~_STALLS  # once
            self._is_stalled = True
            connection.pause_writing()

    # What follows is its transport.

    def write(self, data: bytes) -> None:
        """One answer."""
        assert self._given is None, "an answer after the client was handed over"
        self.taken.append((data.partition(b"\r\n\r\n")[2], None))

    def pause_reading(self) -> None:
        """No further piece."""
        self._is_paused = True

    def resume_reading(self) -> None:
        """Further pieces."""
        self._is_paused = False

    def get_write_buffer_size(self) -> int:
        """Bytes that the client has not read."""
        return int(self._is_stalled)

    def set_write_buffer_limits(self, high: int | None = None) -> None:
        """As asked for by a connection that waits for its client."""

    def is_closing(self) -> bool:
        """The client stays."""
        return False
