"""One client connection that sends plain requests; one that does not is handed over to `Connection`.

It takes a quarter of the time of `serving.connection` in user mode (benchmarks/front.py): no parser, no
queue, and one write a request.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct
import termios
from typing import Protocol

from opt_ml.serving.answers import Answer
from opt_ml.serving.http.answer_head import head_of
from opt_ml.serving.http.plain_http import BODY_LIMIT, HEAD_LIMIT, PlainHeads, may_become_plain
from opt_ml.serving.quick import QuickRequest
from opt_ml.serving.workers.joiner import Joiner

_MOST_AHEAD = BODY_LIMIT + HEAD_LIMIT  # bytes that a client may send ahead of its answer
_MOST_HEADS = 1024  # of answers, remembered; each has about 200 bytes
_PATIENCE = 0.5  # seconds in which a request that has begun is whole, or somebody else's
DRAIN_GRACE = 0.5
"""Seconds since its last request after which a connection counts as idle while the server stops."""
_HEALTHY = Answer(200)


class AnswerHeads:
    """Heads of answers, remembered for as long as the Date header stays."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], bytes] = {}
        self._date = b""

    def set_date(self, date: bytes) -> None:
        """Take another Date header, a whole line."""
        if date != self._date:
            self._date = date
            self._known.clear()

    def find(self, answer: Answer) -> bytes:
        """The head of `answer`, on a connection that stays."""
        status, content_type, body, retry_after, allow, headers = answer
        key = (status, content_type, len(body), retry_after, allow, headers)
        head = self._known.get(key)
        if head is None:
            if len(self._known) >= _MOST_HEADS:
                self._known.clear()
            head = self._known[key] = head_of(answer, self._date, keep_alive=True)
        return head


class QuickServer(Protocol):
    """What a quick connection needs from the process it belongs to.

    Attributes:
        now: event loop time, at most one tick old.
        is_healthy: what GET /ping says; an unhealthy process hands over, because the leader knows why.
        plain_heads: see `PlainHeads`.
        answer_heads: see `AnswerHeads`.
        joiner: where requests go.
        quick_connections: all open ones; they enter and leave by themselves.
    """

    now: float
    is_healthy: bool
    plain_heads: PlainHeads
    answer_heads: AnswerHeads
    joiner: Joiner
    quick_connections: set[QuickConnection]

    def hand_over(self, transport: asyncio.Transport, received: bytes) -> bool:
        """Give the client to a `Connection`, with the bytes that it has sent and that have no answer.

        Returns:
            False where that cannot be done now.
        """


class QuickConnection(asyncio.Protocol):
    """One client connection of `server`.

    Attributes:
        request_id: of the request in flight; see `PlainHead`.
    """

    __slots__ = (
        "_is_gone",
        "_is_leaving",
        "_is_stalled",
        "_progress",
        "_received",
        "_server",
        "_taken",
        "_transport",
        "_unsent",
        "request_id",
    )

    def __init__(self, server: QuickServer) -> None:
        self._server = server
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set before any other call
        self._received = b""  # and not answered
        self._taken = 0  # bytes of it that are the request in flight
        self._is_gone = False  # the client, or to another protocol
        self._is_leaving = False  # to another protocol, once the client has read what is written
        self._is_stalled = False  # the client does not read
        self._unsent = 0
        self._progress = server.now
        self.request_id: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = transport  # type: ignore[assignment]
        self._server.quick_connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        """The client has gone."""
        self._leave()

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if self._received:
            data = self._received + data
            if self._taken or self._is_stalled or self._is_leaving:
                self._received = data
                if len(data) - self._taken > _MOST_AHEAD:
                    self._transport.pause_reading()
                return
        self._received = data
        self._begin()

    def deliver(self, answer: Answer | None) -> None:
        """The answer to the request in flight, or None where a worker must do it."""
        if self._is_gone or self._is_leaving:
            return
        if answer is None:
            self.hand_over()
            return
        self._transport.write(self._server.answer_heads.find(answer) + answer.body)
        taken, self._taken = self._taken, 0
        if len(self._received) == taken:
            self._received = b""
        else:
            self._received = self._received[taken:]
            asyncio.get_running_loop().call_soon(self._go_on)  # not now: `request_id` is still asked for

    def pause_writing(self) -> None:
        """The client reads more slowly than we write: nothing more is read of it until it has caught up."""
        self._is_stalled = True
        self._unsent = self._transport.get_write_buffer_size()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._is_stalled = False
        if self._is_leaving:
            self.hand_over()
            return
        self._go_on()

    def hand_over(self) -> None:
        """Leave the client to a `Connection`, once it has read what is written.

        A request in flight goes with it, as if it had just come. Where it cannot be done now,
        `look_after` tries again.
        """
        if self._is_gone or self._transport.is_closing():
            return
        self._is_leaving = True
        self._transport.pause_reading()
        if self._transport.get_write_buffer_size():
            self._transport.set_write_buffer_limits(0)
        elif self._server.hand_over(self._transport, self._received):
            self._leave()

    def release(self) -> socket.socket | None:
        """Let go of a client, for another process to serve; None in the middle of something."""
        is_busy = self._received or self._is_stalled or self._is_leaving
        if is_busy or self._transport.is_closing() or self._transport.get_write_buffer_size():
            return None
        try:
            client = socket.socket(fileno=os.dup(self._transport.get_extra_info("socket").fileno()))
        except OSError:  # no descriptor is free
            return None
        self._leave()
        self._transport.abort()  # our descriptor is closed; the connection lives on in the other
        return client

    def look_after(self, timeout: float) -> None:
        """End or hand over what does not move; called now and then.

        Args:
            timeout: seconds after which a connection without progress is closed.
        """
        since = self._server.now - self._progress
        if self._is_stalled:
            unsent = self._transport.get_write_buffer_size()
            if unsent < self._unsent:
                self._progress = self._server.now
            elif since > timeout:
                self._transport.abort()
            self._unsent = unsent
        elif self._is_leaving:
            self.hand_over()
        elif not self._received:
            if since > timeout:
                self._transport.close()
        elif not self._taken and since > _PATIENCE:
            self.hand_over()

    def drain(self) -> None:
        """Close where no request has come for long, else hand over; called until the connection is gone."""
        if self._received or self._server.now - self._progress < DRAIN_GRACE or has_unread(self._transport):
            self.hand_over()
        elif not self._is_stalled:
            self._transport.close()

    def _begin(self) -> None:
        """Take the first request of what was received, if it is whole."""
        received = self._received
        self._progress = self._server.now
        end = received.find(b"\r\n\r\n") + 4
        heads = self._server.plain_heads
        head = heads.known.get(received[:end])
        if head is None:
            if end < 4:
                if not may_become_plain(received):
                    self.hand_over()
                return
            head = heads.learn(received[:end])
            if head is None:
                self.hand_over()
                return
        total = end + head.length
        if len(received) < total:
            return
        if head.is_ping:
            self._ping(total)
            return
        self._taken = total
        self.request_id = head.request_id
        request = QuickRequest(received[end:total], head.content_type, head.accept)
        self._server.joiner.add(request, self)

    def _ping(self, total: int) -> None:
        if self._server.is_healthy and len(self._received) == total:
            self._received = b""
            self._transport.write(self._server.answer_heads.find(_HEALTHY))
        else:
            self.hand_over()

    def _go_on(self) -> None:
        """Look at what the client has sent ahead."""
        if not (self._is_gone or self._is_stalled or self._is_leaving or self._taken):
            self._transport.resume_reading()
            if self._received:
                self._begin()

    def _leave(self) -> None:
        self._is_gone = True
        self._server.quick_connections.discard(self)


def has_unread(transport: asyncio.Transport) -> bool:
    """True where the client has sent what the event loop has not yet read."""
    try:
        count = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.FIONREAD, bytes(4))
    except OSError:
        return False
    return bool(struct.unpack("i", count)[0])
