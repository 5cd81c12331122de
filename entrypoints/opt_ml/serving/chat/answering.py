"""From what a chat_fn returned to an answer: whole, or part by part."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from opt_ml.serving.answers import Answer
from opt_ml.serving.chat.completions import Completion, error_event
from opt_ml.serving.chat.errors import error_object
from opt_ml.serving.chat.requests import wants_stream
from opt_ml.serving.context import Context
from opt_ml.serving.media import EVENT_STREAM, JSON
from opt_ml.serving.outcomes import describe
from opt_ml.serving.results import whole_answer
from opt_ml.serving.streams import Finish, Parts, Stream, is_stream


async def answer_chat(
    request: Mapping[str, Any], result: Any, finish: Finish, context: Context
) -> Answer | Stream:
    """The answer to a chat.

    Args:
        request: the client's, checked.
        result: what chat_fn returned: a part, or an iterator of parts.
        finish: see `Finish`.
        context: where the handler may have set a status and headers.

    Raises:
        Exception: whatever the handler raises, in a stream until its first part is there.
    """
    completion = Completion(request)
    events = ChatEvents(Parts(result if is_stream(result) else iter([result]), finish), completion)
    if not wants_stream(request):
        return whole_answer(await events.whole(), JSON, context)
    first = await events.next()  # before the head is sent: what fails until then has a status
    head = whole_answer(completion.opening() + first, EVENT_STREAM, context)
    return Stream(head, events, bytes)


class ChatEvents:
    """The parts of a chat as the events of a stream."""

    def __init__(self, parts: Parts, completion: Completion) -> None:
        self._parts = parts
        self._completion = completion
        self._is_done = False
        self._count = 0
        self._failure: Exception | None = None

    async def next(self) -> bytes:
        """The next event; where the handler fails in the middle, the one that says so, and then the error.

        Raises:
            StopAsyncIteration: there is none.
            Exception: whatever the handler raises.
        """
        if self._failure is not None:
            raise self._failure
        if self._is_done:
            raise StopAsyncIteration
        try:
            event = self._completion.event(self._completion.take(await self._parts.next()))
        except StopAsyncIteration:
            self._is_done = True
            return self._completion.closing()
        except Exception as error:
            if self._count == 0:
                raise
            self._failure = error
            return error_event(error_object(500, describe(error)))
        self._count += 1
        return event

    async def whole(self) -> bytes:
        """The answer with all parts."""
        try:
            with suppress(StopAsyncIteration):
                while True:
                    self._completion.take(await self._parts.next())
        finally:
            await self._parts.close()
        return self._completion.whole()

    async def close(self) -> None:
        """See `Parts.close`."""
        await self._parts.close()
