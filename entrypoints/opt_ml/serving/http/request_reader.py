"""Bytes to HTTP/1.1 requests, by httptools; limits and refusals of what cannot be received."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import httptools

from opt_ml.errors import RequestError
from opt_ml.serving.answers import Answer, error_answer
from opt_ml.serving.http.bodies import Body, BodyMemory
from opt_ml.serving.http.refusals import HEADER_LIMIT, body_too_large, check_encoding, headers_too_long
from opt_ml.serving.http.spool import Spool, no_space

_UPGRADE = frozenset({b"connection", b"upgrade", b"http2-settings"})


class Request:
    """One request as it was received.

    Args:
        parts: gets the body while it arrives.

    Attributes:
        headers: names in lower case, values of a repeated one joined; most matter to nobody but a handler
            that asks for them (HOST-34, HOST-59).
        keep_alive: the connection may carry another request.
        takes_chunks: the client speaks HTTP/1.1, and so understands a chunked answer.
        received: `perf_counter()` at its last byte.
        spool: the body, where it is too large for `body`.
        refusal: the answer, where the request could not be received; the connection ends with it.
        is_upgrade: it offers WebSocket; nothing after it is read as HTTP.
    """

    __slots__ = (
        "body",
        "headers",
        "is_upgrade",
        "keep_alive",
        "method",
        "parts",
        "received",
        "refusal",
        "spool",
        "takes_chunks",
        "target",
    )

    def __init__(self, parts: Body) -> None:
        self.parts = parts
        self.method = b"-"
        self.target = b""
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.keep_alive = False
        self.is_upgrade = False
        self.takes_chunks = False
        self.received = 0.0
        self.spool: Spool | None = None
        self.refusal: Answer | None = None

    def header(self, name: bytes) -> str | None:
        """The value of a header, or None."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def settle(self) -> bool:
        """True once all of its body is here, or is refused because the disk did not take it."""
        if self.spool is None or self.refusal is not None:
            return True
        if self.spool.error is not None:
            self.keep_alive = False
            cause = no_space(self.spool.error)
            self.refusal = error_answer(cause.status, cause.message)
        return self.spool.is_settled

    def discard(self) -> None:
        """Give back what its body takes, in memory and on disk."""
        self.parts.close()
        if self.spool is not None:
            self.spool.close()


class RequestReader:
    """The receiving half of one connection.

    Args:
        deliver: called with each request, in order. The last one of a connection has no `keep_alive`. Its
            spool may not be settled yet.
        max_body: bytes of one body, or None for no limit.
        memory: what bodies may take of it.
        on_spool: called when the disk has caught up with a body.

    Attributes:
        is_closed: nothing more is read; further bytes are passed over.
        wants_continue: the client waits for `100 Continue` before it sends the body.
    """

    def __init__(
        self,
        deliver: Callable[[Request], None],
        max_body: int | None,
        memory: BodyMemory,
        on_spool: Callable[[], None],
    ) -> None:
        self._deliver = deliver
        self._max_body = max_body
        self._memory = memory
        self._on_spool = on_spool
        self._parser = httptools.HttpRequestParser(self)
        self._request: Request | None = None  # being received
        self._has_headers = False
        self._size = 0  # bytes of the request's headers, and after those of its body
        self._heads_begun = 0  # requests that began in the bytes at hand
        self._unfinished = 0  # bytes that were all of one head, which has not ended
        self.is_closed = False
        self.wants_continue = False

    @property
    def is_receiving(self) -> bool:
        """True in the middle of a request."""
        return self._request is not None

    @property
    def is_behind(self) -> bool:
        """True while the disk cannot take more of the body."""
        return self._request is not None and self._request.spool is not None and self._request.spool.is_behind

    def discard(self) -> None:
        """Forget the request that is being received: nobody waits for it."""
        if self._request is not None:
            self._request.discard()

    def feed(self, data: bytes) -> None:
        """Read what the client sent."""
        rest = memoryview(data)
        while rest and not self.is_closed:  # no recursion: a client chooses how many offers it makes
            rest = self._feed(rest)

    def _feed(self, data: memoryview) -> memoryview:
        """Read on. Returns what is left where the request offers another protocol."""
        rest = memoryview(b"")
        before, self._heads_begun = self._request, 0
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
            self._on_upgrade()
        except httptools.HttpParserError as error:
            cause = error.__context__
            if isinstance(cause, RequestError):
                self.refuse(cause.status, cause.message)
            else:
                self.refuse(400, f"Malformed HTTP: {error}.")
        self._count_unfinished(before, len(data))
        return rest

    def refuse(self, status: int, cause: str) -> None:
        """Give up on the request that is being received, and on the connection."""
        if self.is_closed:  # it had no keep-alive: what comes after it is nobody's request
            return
        request = self._request or Request(Body(self._memory))
        request.keep_alive = False
        request.received = perf_counter()
        request.refusal = error_answer(status, cause)
        request.discard()
        self._finish(request)

    def on_message_begin(self) -> None:
        """From httptools: the first byte of a request."""
        self._request = Request(Body(self._memory))
        self._has_headers = False
        self._size = self._unfinished = 0
        self._heads_begun += 1

    def on_url(self, url: bytes) -> None:
        """From httptools: the request target, or a part of it."""
        if self._request is not None:
            self._request.target += url
            self._count_header(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """From httptools: one header, or one trailer, which has no say."""
        request = self._request
        if request is None or self._has_headers:
            return
        self._count_header(len(name) + len(value))
        name = name.lower()
        known = request.headers.get(name)
        request.headers[name] = value if known is None else known + b", " + value

    def on_headers_complete(self) -> None:
        """From httptools: the body begins."""
        request = self._request
        if request is None:
            return
        request.method = self._parser.get_method()
        request.takes_chunks = self._parser.get_http_version() == "1.1"
        request.keep_alive = self._parser.should_keep_alive() and request.takes_chunks
        self._has_headers = True
        self._size = 0
        length = int(request.headers.get(b"content-length", b"0"))
        self._check_body(length)
        check_encoding(request.headers.get(b"content-encoding", b""))
        self.wants_continue = request.headers.get(b"expect", b"").lower() == b"100-continue"
        if not request.parts.fits(length):
            self._spool(request)

    def on_body(self, body: bytes) -> None:
        """From httptools: a part of the body, without chunk framing (BATCH-07)."""
        self.wants_continue = False
        self._size += len(body)
        self._check_body(self._size)
        request = self._request
        if request is None:
            return
        if request.spool is None and not request.parts.fits(self._size):
            self._spool(request)
        if request.spool is None:
            request.parts.add(body)
        elif request.spool.error is None:
            request.spool.add(body)
        else:
            raise no_space(request.spool.error)

    def on_message_complete(self) -> None:
        """From httptools: the request is whole."""
        request = self._request
        if request is None or self._parser.should_upgrade():
            return
        request.body = request.parts.take()
        request.received = perf_counter()
        self._finish(request)

    def _spool(self, request: Request) -> None:
        """Keep the body on disk from here on."""
        try:
            request.spool = Spool(self._on_spool)
        except OSError as error:
            raise no_space(error) from None
        for part in request.parts.take_parts():
            request.spool.add(part)
        request.parts.close()

    def _on_upgrade(self) -> None:
        """Deliver an offer of WebSocket (HOST-121); read another without its offer (RFC 9110, section 7.8).

        httptools stops after the headers of such a request. Its body comes with what is fed next.
        """
        request = self._request
        if request is None or request.method == b"CONNECT":
            self.refuse(400, "CONNECT is for proxies. POST /invocations or GET /ping.")
            return
        if request.method == b"GET" and request.headers.get(b"upgrade", b"").lower() == b"websocket":
            request.is_upgrade = True
            request.keep_alive = False
            request.received = perf_counter()
            self._finish(request)
            return
        request.discard()
        headers = {name: value for name, value in request.headers.items() if name not in _UPGRADE}
        if not request.keep_alive:
            headers[b"connection"] = b"close"
        lines = b"".join(b"%b: %b\r\n" % header for header in headers.items())
        self._parser = httptools.HttpRequestParser(self)
        self._feed(memoryview(b"%b %b HTTP/1.1\r\n%b\r\n" % (request.method, request.target, lines)))

    def _finish(self, request: Request) -> None:
        self._request, self.wants_continue = None, False
        self.is_closed = not request.keep_alive
        self._deliver(request)

    def _count_header(self, size: int) -> None:
        self._size += size
        if self._size > HEADER_LIMIT:
            raise headers_too_long()

    def _count_unfinished(self, before: Request | None, size: int) -> None:
        """A header line without an end reaches no callback, so its bytes are counted as they come.

        Only those that are all of one head: others begin with the end of another request, however large.

        Args:
            before: what was being received before these bytes.
            size: how many they are.
        """
        if self._request is None or self._has_headers:
            return
        if self._request is before or (before is None and self._heads_begun == 1):
            self._unfinished += size
            if self._unfinished > HEADER_LIMIT:
                self.refuse(431, headers_too_long().message)

    def _check_body(self, size: int) -> None:
        if self._max_body is not None and size > self._max_body:
            raise body_too_large(self._max_body)
