"""The front's end of the process of the streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from opt_ml.serving.bidirectional.messages import INTERNAL_ERROR
from opt_ml.serving.settings import Settings
from opt_ml.serving.workers.frames import FrameBuffer, FrameError, head
from opt_ml.serving.workers.processes import kill_worker, start_worker


class Listener(Protocol):
    """What a stream's client is to the link: `serving.bidirectional.relay.Relay`."""

    def send(self, kind: str, data: bytes, is_last: bool) -> None:
        """A message of the handler, or a part of one."""

    def read(self, is_wanted: bool) -> None:
        """False while the handler has more than it can take."""

    def say_goodbye(self, code: int, reason: str) -> None:
        """The handler has ended the stream."""


class Link(asyncio.Protocol):
    """One process of streams.

    Args:
        settings: of the server.
        on_state: called with the frame that says how the start went: `ready`, `absent` or `failed`.
        on_lost: called when its socket is closed.
    """

    def __init__(
        self,
        settings: Settings,
        on_state: Callable[[dict[str, Any], bytes], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._on_state = on_state
        self._on_lost = on_lost
        self._buffer = FrameBuffer()
        self._transport: asyncio.Transport | None = None
        self._listeners: dict[int, Listener] = {}
        self._held: set[int] = set()  # streams whose handler has more than it can take
        self._is_full = False  # the process reads nothing: its handler computes
        self._last_number = 0
        self.process, self._socket = start_worker(
            "opt_ml.serving.bidirectional.process", [str(settings.model_dir)], settings.workers
        )

    async def connect(self) -> None:
        """Begin to listen to the process."""
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: self, sock=self._socket)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The event loop watches the socket."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Frames from the process."""
        try:
            for header, body in self._buffer.feed(data):
                self._on_frame(header, body)
        except FrameError:  # the handler has written into our socket
            self.kill()

    def connection_lost(self, error: Exception | None) -> None:
        """The process has closed its end, or is dead."""
        listeners, self._listeners = self._listeners, {}
        for listener in listeners.values():
            listener.say_goodbye(INTERNAL_ERROR, "the handler's process has ended")
        self._on_lost()

    def pause_writing(self) -> None:
        """The process does not read: let all clients wait, so that what lies here of theirs is bounded."""
        self._is_full = True
        for listener in self._listeners.values():
            listener.read(False)

    def resume_writing(self) -> None:
        """The process has caught up."""
        self._is_full = False
        for number, listener in self._listeners.items():
            listener.read(number not in self._held)

    def open(self, listener: Listener, path: str, headers: dict[str, str]) -> Talker:
        """Begin a stream."""
        self._last_number += 1
        self._listeners[self._last_number] = listener
        self.tell({"open": self._last_number, "path": path, "headers": headers})
        return Talker(self, self._last_number)

    def tell(self, header: dict[str, Any], body: bytes = b"") -> None:
        """Send a frame."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(head(header, len(body)) + body)

    def part(self, number: int, kind: str, data: bytes, is_last: bool) -> None:
        """Send what a client has sent."""
        self.tell({"part": number, "kind": kind, "is_last": is_last}, data)
        if self._is_full and number in self._listeners:  # a stream that has begun since then
            self._listeners[number].read(False)

    def forget(self, number: int) -> None:
        """The client of a stream has gone."""
        self._held.discard(number)
        if self._listeners.pop(number, None) is not None:
            self.tell({"close": number})

    def close(self) -> None:
        """Let it end."""
        if self._transport is not None:
            self._transport.close()

    def kill(self) -> None:
        """End it now."""
        kill_worker(self.process)

    def _on_frame(self, header: dict[str, Any], body: bytes) -> None:
        match header:
            case {"event": _}:
                self._on_state(header, body)
            case {"part": number} if number in self._listeners:
                self._listeners[number].send(header["kind"], body, header["is_last"])
            case {"hold": number} if number in self._listeners:
                self._held.add(number)
                self._listeners[number].read(False)
            case {"go": number} if number in self._listeners:
                self._held.discard(number)
                self._listeners[number].read(not self._is_full)
            case {"close": number} if number in self._listeners:
                self._held.discard(number)
                self._listeners.pop(number).say_goodbye(header["code"], header["reason"])


class Talker:
    """One stream of a link; see `relay.Talk`."""

    def __init__(self, link: Link, number: int) -> None:
        self._link = link
        self._number = number

    def part(self, kind: str, data: bytes, is_last: bool) -> None:
        """See `relay.Talk`."""
        self._link.part(self._number, kind, data, is_last)

    def hold(self, is_held: bool) -> None:
        """See `relay.Talk`."""
        self._link.tell({"hold" if is_held else "go": self._number})

    def end(self) -> None:
        """See `relay.Talk`."""
        self._link.forget(self._number)
