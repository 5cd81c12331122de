"""Answers that a handler gives part by part (HOST-65 to HOST-69).

A result that is an iterator, such as a generator, or an asynchronous one, is a stream; lists, arrays and
files read whole are not. Each part is sent as soon as it is there. A part is

- bytes or str, sent as it is: the handler sees to it that a reader finds where one message ends, because
  the platform cuts a stream anywhere (HOST-69);
- anything else that JSON can hold: a line of its own (JSON Lines), or where the answer's type is
  `text/event-stream` an event of its own, `data: {...}`.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Protocol

import orjson

from opt_ml.serving.answers import Answer
from opt_ml.serving.media import EVENT_STREAM, JSON_LINES

Finish = Callable[[Awaitable[Any]], Awaitable[Any]]
"""What an awaitable comes to, in the event loop that the handler lives in."""

_STREAMS = (Iterator, AsyncIterable)
_WHOLE = (bytes, str)  # nearly always: an abstract class takes ten times as long to ask


def is_stream(result: Any) -> bool:
    """True for what a handler means to be sent part by part."""
    return not isinstance(result, _WHOLE) and isinstance(result, _STREAMS)


class Parts:
    """The parts of a stream as the handler yields them.

    Args:
        source: the handler's iterator.
        finish: see `Finish`.
    """

    def __init__(self, source: Iterator[Any] | AsyncIterable[Any], finish: Finish) -> None:
        self._finish = finish
        self._source = aiter(source) if isinstance(source, AsyncIterable) else source

    async def next(self) -> Any:
        """The next part.

        Raises:
            StopAsyncIteration: there is none.
            Exception: whatever the handler raises.
        """
        if isinstance(self._source, AsyncIterator):
            return await self._finish(anext(self._source))
        try:
            return next(self._source)
        except StopIteration:
            raise StopAsyncIteration from None

    async def close(self) -> None:
        """Let the handler's generator run its `finally`; nothing where it has ended, or is no generator."""
        if inspect.isasyncgen(self._source):
            await self._finish(self._source.aclose())
        elif inspect.isgenerator(self._source):
            self._source.close()


class Source(Protocol):
    """What a stream takes its parts from: `Parts`, or what makes others of them."""

    async def next(self) -> Any:
        """See `Parts.next`."""

    async def close(self) -> None:
        """See `Parts.close`."""


class Stream:
    """A streamed answer whose first part is there.

    Args:
        head: status, content type and headers; its body is the first part.
        parts: the others.
        encode: makes bytes of a part.
    """

    def __init__(self, head: Answer, parts: Source, encode: Callable[[Any], bytes]) -> None:
        self.head = head
        self._parts = parts
        self._encode = encode

    async def next(self) -> bytes | None:
        """The next part, or None after the last.

        Raises:
            Exception: whatever the handler raises; the stream is broken.
        """
        try:
            return self._encode(await self._parts.next())
        except StopAsyncIteration:
            return None

    async def close(self) -> None:
        """See `Parts.close`."""
        await self._parts.close()

    async def whole(self) -> Answer:
        """The answer with all parts in its body."""
        body = [self.head.body]
        while (part := await self.next()) is not None:
            body.append(part)
        return self.head._replace(body=b"".join(body))


def encoder(content_type: str) -> Callable[[Any], bytes]:
    """What makes bytes of the parts of a stream of that type."""
    is_event = content_type.partition(";")[0].strip().lower() == EVENT_STREAM

    def encode(part: Any) -> bytes:
        if isinstance(part, str):
            return part.encode()
        if is_raw(part):
            return bytes(part)
        try:
            text = orjson.dumps(part, option=orjson.OPT_SERIALIZE_NUMPY)
        except TypeError:
            raise TypeError(
                f"the handler yielded a {type(part).__name__}; yield bytes, str or what JSON can hold"
            ) from None
        return b"data: " + text + b"\n\n" if is_event else text + b"\n"

    return encode


def is_raw(part: Any) -> bool:
    """True for a part that is sent as it is."""
    return isinstance(part, str | bytes | bytearray | memoryview)


def type_of_objects(content_type: str) -> str:
    """The type of a stream of objects, of which nobody asked for a type but perhaps for JSON."""
    name = content_type.partition(";")[0].strip().lower()
    return content_type if name in (EVENT_STREAM, *JSON_LINES) else JSON_LINES[0]
