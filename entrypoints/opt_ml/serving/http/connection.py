"""One client connection: requests are answered one by one, in their order, at the client's pace.

A bare asyncio.Protocol costs a third of the CPU of the leanest ASGI server.

A client that closes its sending half counts as gone: nothing else tells that nobody waits for a prediction.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable

from opt_ml.serving.answers import Answer
from opt_ml.serving.http.answer_head import head_of
from opt_ml.serving.http.request_reader import Request, RequestReader
from opt_ml.serving.http.server import Server

_COPY_LIMIT = 1 << 16  # bytes up to which head and body are joined into one write
_LINGER = 5.0  # seconds in which a refused client may read why


class Connection(asyncio.Protocol):
    """One client connection of `server`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._reader = RequestReader(self._on_request, server.max_body, server.body_memory, self._on_spool)
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set before any other call
        self._pending: deque[Request] = deque()  # received, not yet handled
        self._current: Request | None = None  # handled, not yet answered
        self._abandon: Callable[[], None] | None = None
        self._is_advancing = False
        self._is_reading = True
        self._is_leaving = False  # the last answer is written
        self._is_stalled = False  # the client does not read
        self._unsent = 0
        self._progress = server.now
        self._stream: _Stream | None = None  # the answer that is being sent in parts

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = transport  # type: ignore[assignment]
        self._server.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        """The client has gone, or was sent away."""
        self._server.connections.discard(self)
        self._reader.discard()
        for request in (*self._pending, self._current):
            if request is not None:
                request.discard()
        self._pending.clear()
        self._current = self._stream = None
        if self._abandon is not None:
            self._abandon()
            self._abandon = None

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if not self._is_leaving:
            self._progress = self._server.now
            self._reader.feed(data)
            if self._reader.wants_continue or self._reader.is_behind:
                self._advance()

    def respond(self, answer: Answer) -> None:
        """Send the answer to the request that is being handled, and go on to the next."""
        request = self._current
        if request is None:
            return
        self._current = self._abandon = None
        request.discard()
        keep_alive = request.keep_alive and not self._server.is_draining
        head = head_of(answer, self._server.date, keep_alive)
        if request.method == b"HEAD":
            self._transport.write(head)
        elif len(answer.body) > _COPY_LIMIT:
            self._transport.writelines((head, answer.body))
        else:
            self._transport.write(head + answer.body)
        self._progress = self._server.now
        self._server.log(request, answer, len(answer.body))
        if keep_alive:
            self._advance()
        else:
            self._leave(request)

    def start(self, answer: Answer, hold: Callable[[bool], None]) -> None:
        """Send the head of an answer whose body comes in parts; see `serving.jobs.Client` (HOST-65)."""
        request = self._current
        if request is None:
            return
        keep_alive = request.keep_alive and not self._server.is_draining
        stream = self._stream = _Stream(answer, request.takes_chunks, hold)
        head = head_of(answer, self._server.date, keep_alive, stream.is_chunked)
        self._transport.write(head)
        self._progress = self._server.now

    def send(self, part: bytes) -> None:
        """Send the next part of the body at once (HOST-67); an empty one would say that it ends."""
        stream = self._stream
        if stream is None or not part:
            return
        stream.sent += len(part)
        if not stream.is_chunked:
            self._transport.write(part)
        elif len(part) > _COPY_LIMIT:
            self._transport.writelines((b"%x\r\n" % len(part), part, b"\r\n"))
        else:
            self._transport.write(b"%x\r\n%b\r\n" % (len(part), part))
        self._progress = self._server.now

    def upgrade(self, protocol: asyncio.Protocol) -> asyncio.Transport:
        """Leave the connection to another protocol, instead of an answer to this request (HOST-121)."""
        self._current = self._abandon = None
        self._is_leaving = True
        self._server.connections.discard(self)
        self._transport.set_protocol(protocol)
        self._transport.resume_reading()
        return self._transport

    def finish(self) -> None:
        """The body is whole: go on to the next request."""
        stream, request = self._stream, self._current
        if stream is None or request is None:
            return
        if stream.is_chunked:
            self._transport.write(b"0\r\n\r\n")
        self._end_stream(request, stream)
        if request.keep_alive and not self._server.is_draining:
            self._advance()
        else:
            self._leave(request)

    def abort(self) -> None:
        """Close in the middle of the body, so that the client cannot take it for whole (HOST-68)."""
        stream, request = self._stream, self._current
        if stream is None or request is None:
            return
        stream.is_broken = True
        self._end_stream(request, stream)
        if not stream.is_chunked:  # to HTTP/1.0 a close is a good end; only a reset is none
            linger = struct.pack("ii", 1, 0)
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._leave(request)

    def _end_stream(self, request: Request, stream: _Stream) -> None:
        self._current = self._abandon = self._stream = None
        request.discard()
        self._progress = self._server.now
        self._server.log(request, stream.head, stream.sent, stream.is_broken)

    def pause_writing(self) -> None:
        """The client reads more slowly than we write: handle nothing more until it has caught up."""
        self._is_stalled = True
        self._unsent = self._transport.get_write_buffer_size()
        if self._stream is not None:
            self._stream.hold(True)

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._is_stalled = False
        self._progress = self._server.now
        if self._stream is not None:
            self._stream.hold(False)
        self._advance()

    @property
    def is_idle(self) -> bool:
        """True between two requests."""
        return not (
            self._current
            or self._pending
            or self._reader.is_receiving
            or self._is_stalled
            or self._is_leaving
        )

    def close(self) -> None:
        """Close after what is written has been sent."""
        self._transport.close()

    def drain(self, grace: float) -> None:
        """Close where no request has come for `grace` seconds; one sooner is answered, and is the last.

        A client that has just read an answer may be writing its next request: closed on, it would be lost.
        """
        if self.is_idle and self._server.now - self._progress >= grace:
            self.close()

    def end_without_progress(self, timeout: float) -> None:
        """End the connection where nothing moved for `timeout` seconds; called now and then."""
        if self._is_stalled:
            unsent = self._transport.get_write_buffer_size()
            if unsent < self._unsent:
                self._progress = self._server.now
            self._unsent = unsent
        elif self._current is not None:
            return  # the time-out of a prediction is the pool's
        elif self._is_leaving:
            timeout = _LINGER
        if self._server.now - self._progress <= timeout:
            return
        if self._is_stalled or self._is_leaving:
            self._transport.abort()
        elif self._reader.is_receiving:
            self._reader.refuse(408, f"The request stayed incomplete for {timeout:g} seconds.")
        else:
            self._transport.close()

    def _on_spool(self) -> None:
        """The disk has caught up with a body."""
        self._progress = self._server.now
        self._advance()

    def _on_request(self, request: Request) -> None:
        self._pending.append(request)
        self._advance()

    def _advance(self) -> None:
        """Handle what was received, one request at a time, so that answers keep the order of requests."""
        if self._is_advancing:
            return
        self._is_advancing = True
        while self._pending and self._current is None and not self._is_stalled:
            if not self._pending[0].settle():
                break  # the disk is still at it
            request = self._current = self._pending.popleft()
            if request.refusal is not None:
                self.respond(request.refusal)
                continue
            abandon = self._server.handle(request, self)
            if self._current is request:
                self._abandon = abandon
        self._is_advancing = False
        if self._is_leaving:
            return
        self._read(not self._pending and not self._is_stalled and not self._reader.is_behind)
        if self._reader.wants_continue and self._current is None and not self._pending:
            self._reader.wants_continue = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _read(self, wanted: bool) -> None:
        """Stop reading while requests wait: what a client may have in memory here is bounded."""
        if wanted == self._is_reading or self._transport.is_closing():
            return
        self._is_reading = wanted
        if wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _leave(self, request: Request) -> None:
        self._is_leaving = True
        if request.refusal is None:
            self._transport.close()
            return
        # A close with unread data would reset the connection, and the client might never see the answer:
        # say that nothing more comes, pass over what still does, and leave when the client does.
        if not self._transport.is_closing():
            self._transport.write_eof()
        self._read(True)


class _Stream:
    """An answer that is being sent in parts.

    Attributes:
        is_chunked: its parts are chunks; else they end where the connection does (HTTP/1.0).
        sent: bytes of its body.
    """

    __slots__ = ("head", "hold", "is_broken", "is_chunked", "sent")

    def __init__(self, head: Answer, is_chunked: bool, hold: Callable[[bool], None]) -> None:
        self.head = head
        self.is_chunked = is_chunked
        self.hold = hold
        self.sent = 0
        self.is_broken = False
