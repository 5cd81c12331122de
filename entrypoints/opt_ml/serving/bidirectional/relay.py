"""One client's connection after its upgrade: WebSocket frames from and to the process of the streams.

The protocol itself is the sans-I/O half of the `websockets` package: handshake, masks, control frames,
limits, closing. Pings are answered here, however long the handler thinks (HOST-123).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

from websockets.exceptions import WebSocketException
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.http11 import Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from opt_ml.serving.answers import Answer, error_answer
from opt_ml.serving.bidirectional.messages import BINARY, GOING_AWAY, MORE, TEXT
from opt_ml.serving.http.request_reader import Request

_KINDS = {Opcode.TEXT: TEXT, Opcode.BINARY: BINARY, Opcode.CONT: MORE}
_SILENCE = 360.0  # seconds; the platform pings each 60 and gives up after 5 that were missed (HOST-123)
_LINGER = 5.0  # seconds for a client to close, once it was asked to


class Talk(Protocol):
    """Who hears from a client: `serving.bidirectional.link.Link`, for one stream."""

    def part(self, kind: str, data: bytes, is_last: bool) -> None:
        """The client has sent a message, or a part of one."""

    def hold(self, is_held: bool) -> None:
        """The client does not read, or reads again."""

    def end(self) -> None:
        """The client has gone, or was sent away."""


class Relay(asyncio.Protocol):
    """A WebSocket connection.

    Args:
        request: the upgrade.
        max_message: bytes of one message, or None for no limit.
        clock: seconds, at most one tick old.
        on_gone: called once when the connection is closed, with the bytes that were sent on it.
    """

    def __init__(
        self,
        request: Request,
        max_message: int | None,
        clock: Callable[[], float],
        on_gone: Callable[[Relay, int], None],
    ) -> None:
        self._protocol = ServerProtocol(max_size=max_message)
        self._response = self._shake_hands(request)
        self._clock = clock
        self._on_gone = on_gone
        self._transport: asyncio.Transport | None = None
        self._talk: Talk | None = None
        self._progress = clock()
        self._sent = 0

    @property
    def refusal(self) -> Answer | None:
        """Why the handshake cannot be done, or None where it can."""
        response = self._response
        if response.status_code == 101:
            return None
        body = bytes(response.body or b"").decode(errors="replace").strip()
        return error_answer(response.status_code, " ".join(body.split()) or response.reason_phrase)

    def _shake_hands(self, request: Request) -> Response:
        lines = b"".join(b"%b: %b\r\n" % header for header in request.headers.items())
        self._protocol.receive_data(b"%b %b HTTP/1.1\r\n%b\r\n" % (request.method, request.target, lines))
        for event in self._protocol.events_received():
            if isinstance(event, Handshake):
                return self._protocol.accept(event)
        cause = f"The WebSocket handshake cannot be read ({self._protocol.handshake_exc})."
        return self._protocol.reject(HTTPStatus.BAD_REQUEST, cause)

    def begin(self, transport: asyncio.Transport, talk: Talk) -> None:
        """Say that the protocol changes, and relay from now on.

        Args:
            transport: of the connection; it hands everything to this relay from now on.
            talk: see `Talk`.
        """
        self._transport = transport
        self._talk = talk
        self._protocol.send_response(self._response)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        self._progress = self._clock()
        self._protocol.receive_data(data)
        self._flush()
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode in _KINDS and self._talk is not None:
                self._talk.part(_KINDS[event.opcode], bytes(event.data), event.fin)

    def eof_received(self) -> None:
        """The client sends nothing more."""
        self._protocol.receive_eof()
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is closed."""
        talk, self._talk = self._talk, None
        if talk is not None:
            talk.end()
        self._on_gone(self, self._sent)

    def pause_writing(self) -> None:
        """The client reads more slowly than the handler sends."""
        if self._talk is not None:
            self._talk.hold(True)

    def resume_writing(self) -> None:
        """The client has caught up."""
        if self._talk is not None:
            self._talk.hold(False)

    def send(self, kind: str, data: bytes, is_last: bool) -> None:
        """Send a message, or a part of one: one frame (HOST-122)."""
        if self._protocol.state is not State.OPEN:
            return
        if kind == MORE:
            self._protocol.send_continuation(data, is_last)
        elif kind == TEXT:
            self._protocol.send_text(data, is_last)
        else:
            self._protocol.send_binary(data, is_last)
        self._sent += len(data)
        self._flush()

    def read(self, is_wanted: bool) -> None:
        """Let the client wait while the handler has more than it can take, or go on."""
        if self._transport is None or self._transport.is_closing():
            return
        if is_wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def say_goodbye(self, code: int, reason: str) -> None:
        """Close with a code, and for good if the client has not answered a moment later."""
        if self._protocol.state is State.OPEN:
            try:
                self._protocol.send_close(code, reason)
            except (WebSocketException, ValueError):  # the handler's own code, or a reason of over 123 bytes
                self._protocol.send_close(code if 1000 <= code <= 1011 else GOING_AWAY)
            self._flush()
        self.read(True)  # the client's own close may be behind what we left unread
        asyncio.get_running_loop().call_later(_LINGER, self._abort)

    def end_without_progress(self, timeout: float) -> None:
        """End the connection of a client that is no more; called now and then."""
        if self._clock() - self._progress > _SILENCE:
            self._abort()

    def drain(self, grace: float) -> None:
        """The server stops: see `say_goodbye`."""
        if self._protocol.state is State.OPEN:
            self.say_goodbye(GOING_AWAY, "the server stops")

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _flush(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        for data in self._protocol.data_to_send():
            if data:
                transport.write(data)
            else:
                transport.close()  # after what was written is sent
