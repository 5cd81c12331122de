"""Requests that arrived together are answered together, by a quick path."""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Protocol

from opt_ml.serving.answers import Answer
from opt_ml.serving.quick import JOINED_BYTES, Quick, QuickRequest


class Asker(Protocol):
    """Who asked.

    Attributes:
        request_id: the client's name for the request, or None.
    """

    request_id: str | None

    def deliver(self, answer: Answer | None) -> None:
        """The answer, or None where a worker must do it."""


OnAnswered = Callable[[Sequence[Asker], Sequence[Answer | None], float], None]
"""Called after each prediction with who asked, the answers, and the seconds since the requests came."""


class Guard:
    """A quick path whose bugs harm no request: the workers have the model itself."""

    def __init__(self, quick: Quick) -> None:
        self._quick = quick
        self._last_error = ""
        self.most_rows = quick.most_rows

    def answer(self, requests: Sequence[QuickRequest]) -> list[Answer | None]:
        """See `Quick.answer`; never raises."""
        try:
            answers = self._quick.answer(requests)
            if len(answers) != len(requests):
                raise RuntimeError(f"{len(answers)} answers to {len(requests)} requests")
        except Exception as error:
            self._tell(error)
            return [None] * len(requests)
        return answers

    def _tell(self, error: Exception) -> None:
        """Write the traceback, once in a row of the same error."""
        cause = f"The compiled model failed ({type(error).__name__}: {error}). A worker answers."
        if cause != self._last_error:
            self._last_error = cause
            print(f"{cause}\n{traceback.format_exc()}".rstrip(), file=sys.stderr, flush=True)


class Batch:
    """Requests of one turn of the event loop."""

    __slots__ = ("askers", "requests", "room", "since", "size")

    def __init__(self, room: int) -> None:
        self.requests: list[QuickRequest] = []
        self.askers: list[Asker] = []
        self.room = room
        self.size = 0
        self.since = perf_counter()


class Joiner:
    """Collects what comes in one turn of the event loop, and answers it in the next.

    Nothing waits for others to come: while one batch is predicted, the next gathers in the sockets. What is
    over the limits of a call goes in a further turn, so that the loop looks after its sockets in between.

    Args:
        quick: what predicts; see `Guard`.
        on_answered: see `OnAnswered`.
    """

    def __init__(self, quick: Guard, on_answered: OnAnswered | None = None) -> None:
        self._quick = quick
        self._on_answered = on_answered
        self._loop = asyncio.get_running_loop()
        self._open: Batch | None = None  # of this turn
        self._batches: deque[Batch] = deque()

    def add(self, request: QuickRequest, asker: Asker) -> None:
        """Answer `request` in the next turn."""
        batch = self._open
        size = len(request.body)
        if batch is None or not batch.room or batch.size + size > JOINED_BYTES:
            if not self._batches:
                self._loop.call_soon(self._answer)
            batch = self._open = Batch(self._quick.most_rows)
            self._batches.append(batch)
        batch.requests.append(request)
        batch.askers.append(asker)
        batch.room -= 1
        batch.size += size

    def _answer(self) -> None:
        self._open = None
        batch = self._batches.popleft()
        if self._batches:
            self._loop.call_soon(self._answer)
        answers = self._quick.answer(batch.requests)
        for asker, answer in zip(batch.askers, answers, strict=True):
            try:
                asker.deliver(answer)
            except Exception:  # the others of the batch still get theirs
                traceback.print_exc()
        if self._on_answered is not None:
            self._on_answered(batch.askers, answers, perf_counter() - batch.since)
