"""What a handler's `bidirectional_fn` gets: one client's messages, and a way to answer.

    async def bidirectional_fn(stream, model):
        async for message in stream:
            await stream.send(model.reply(message))

The stream ends, for the client too, when the function returns. An exception closes it with code 1011.
"""

from __future__ import annotations

import asyncio
import codecs
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NamedTuple

from opt_ml.serving.bidirectional.messages import BINARY, INVALID_TEXT, MORE, NORMAL, TEXT

_MOST_WAITING = 1 << 20  # bytes of parts that wait for the handler before the client is asked to wait
_MOST_PARTS = 64


class StreamClosed(Exception):  # noqa: N818 - it says what happened; a client that leaves is no error
    """The client has closed the stream."""


class Part(NamedTuple):
    """A message or, where the client sends it in several frames, a part of one (HOST-122).

    Attributes:
        data: str for text and bytes for binary.
        is_last: the message ends with it.
    """

    data: str | bytes
    is_last: bool


class Stream:
    """One client's stream.

    Args:
        path: of the request, with its query.
        headers: of the request, names in lower case.
        tell: sends a frame to the front: header and body.
        number: of this stream.
    """

    def __init__(
        self,
        number: int,
        path: str,
        headers: Mapping[str, str],
        tell: Callable[[dict[str, Any], bytes], None],
    ) -> None:
        self.path = path
        self.headers = headers
        self._number = number
        self._tell = tell
        self._parts: deque[tuple[str, bytes, bool]] = deque()
        self._waiting = 0  # bytes of them
        self._arrived = asyncio.Event()
        self._may_send = asyncio.Event()
        self._may_send.set()
        self._is_closed = False
        self._asked_to_wait = False
        self._decoder: codecs.IncrementalDecoder | None = None  # of a text that has begun
        self._sends_more = False

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        return self._messages()

    async def receive_part(self) -> Part:
        """The next part.

        Raises:
            StreamClosed: the client has closed, and everything that it sent before was taken.
        """
        while not self._parts:
            if self._is_closed:
                raise StreamClosed
            self._arrived.clear()
            await self._arrived.wait()
        kind, data, is_last = self._parts.popleft()
        self._waiting -= len(data)
        if (
            self._asked_to_wait
            and self._waiting <= _MOST_WAITING // 2
            and len(self._parts) <= _MOST_PARTS // 2
        ):
            self._asked_to_wait = False
            self._tell({"go": self._number}, b"")
        if kind != MORE:
            self._decoder = codecs.getincrementaldecoder("utf-8")() if kind == TEXT else None
        if self._decoder is None:
            return Part(data, is_last)
        try:
            return Part(self._decoder.decode(data, is_last), is_last)
        except UnicodeDecodeError:
            self.close(INVALID_TEXT, "text that is not UTF-8")
            raise StreamClosed from None

    async def receive(self) -> str | bytes:
        """The next whole message.

        Raises:
            StreamClosed: see `receive_part`.
        """
        parts = [await self.receive_part()]
        while not parts[-1].is_last:
            parts.append(await self.receive_part())
        if isinstance(parts[0].data, str):
            return "".join(str(part.data) for part in parts)
        return b"".join(part.data for part in parts if isinstance(part.data, bytes))

    async def send(self, data: str | bytes, is_last: bool = True) -> None:
        """Send a message, or a part of one; waits while the client does not read.

        Args:
            data: text or bytes; further parts of a message are of the kind of the first.
            is_last: the message ends with this part.

        Raises:
            StreamClosed: the stream is closed.
        """
        await self._may_send.wait()
        if self._is_closed:
            raise StreamClosed
        kind = MORE if self._sends_more else TEXT if isinstance(data, str) else BINARY
        self._sends_more = not is_last
        content = data.encode() if isinstance(data, str) else bytes(data)
        self._tell({"part": self._number, "kind": kind, "is_last": is_last}, content)
        await asyncio.sleep(0)  # a function that only sends leaves room for others, and for `hold`

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Close the stream; the client of the endpoint gets a ModelStreamError then (HOST-124).

        Args:
            code: 1000, or 3000 to 4999 for meanings of one's own.
            reason: at most 123 bytes.
        """
        if not self._is_closed:
            self.end()
            self._tell({"close": self._number, "code": code, "reason": reason}, b"")

    def take(self, kind: str, data: bytes, is_last: bool) -> None:
        """A part has come from the client."""
        if self._is_closed:
            return
        self._parts.append((kind, data, is_last))
        self._waiting += len(data)
        self._arrived.set()
        if not self._asked_to_wait and (self._waiting > _MOST_WAITING or len(self._parts) > _MOST_PARTS):
            self._asked_to_wait = True
            self._tell({"hold": self._number}, b"")

    def hold(self, is_held: bool) -> None:
        """The client does not read, or reads again."""
        if is_held:
            self._may_send.clear()
        else:
            self._may_send.set()

    def end(self) -> None:
        """The client has gone: what waits for it wakes up."""
        self._is_closed = True
        self._arrived.set()
        self._may_send.set()

    async def _messages(self) -> AsyncIterator[str | bytes]:
        while True:
            try:
                yield await self.receive()
            except StreamClosed:
                return
