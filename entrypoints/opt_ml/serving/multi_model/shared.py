"""A model that lives in shared processes, as the front sees it: its queue and where it can be answered."""

from __future__ import annotations

import asyncio
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from opt_ml.serving.answers import error_answer
from opt_ml.serving.workers.jobs import Job

if TYPE_CHECKING:
    from opt_ml.serving.multi_model.shared_process import SharedProcess

_UNKNOWN_COST = 1.0  # seconds; a model that nobody has measured is not put together with others
_SMOOTHING = 0.2  # the weight of the newest measurement
_LONGEST_PAUSE = 60.0  # seconds between two attempts to bring a model back


class SharedModel:
    """One loaded model of the image's own handler.

    Args:
        key: what the processes call it.
        directory: its files.
        size: bytes of those files.

    Attributes:
        queue: requests that wait.
        running: requests that a process works on.
        homes: processes that have it in memory now.
        cost: seconds of one prediction, as lately measured.
        last_used: event loop time.
        failure: why it could not be brought back after its process died, or None.
        joins, wants_headers: what its handler says.
        copying: the load of a copy that is under way, or None.
    """

    def __init__(self, key: int, directory: Path, size: int) -> None:
        self.key = key
        self.directory = directory
        self.size = size
        self.queue: deque[Job] = deque()
        self.running = 0
        self.homes: list[SharedProcess] = []
        self.cost = _UNKNOWN_COST
        self.last_used = 0.0
        self.failure: str | None = None
        self.joins = False
        self.wants_headers = False
        self.copying: asyncio.Task[None] | None = None
        self._failures = 0
        self._next_attempt = 0.0
        self._drained: asyncio.Future[None] | None = None

    @property
    def is_busy(self) -> bool:
        """True while a request waits or runs."""
        return bool(self.queue) or self.running > 0

    def offer(self) -> None:
        """Give the waiting requests to a free process that has the model, else to the first that is free."""
        for home in self.homes:
            home.enlist(self)
            if home.is_idle:
                home.give_work()
                return

    def measure(self, seconds: float) -> None:
        """A prediction took so long."""
        is_first = self.cost == _UNKNOWN_COST
        self.cost = seconds if is_first else self.cost + _SMOOTHING * (seconds - self.cost)

    def fail(self, cause: str, now: float) -> None:
        """It could not be brought back: refuse what waits, and try again later and later."""
        self.failure = cause
        self._failures += 1
        self._next_attempt = now + min(2.0**self._failures, _LONGEST_PAUSE)
        while self.queue:
            self.refuse(self.queue.popleft())
        self.settle()

    def recover(self) -> None:
        """It is in memory again."""
        self.failure, self._failures = None, 0

    def may_try(self, now: float) -> bool:
        """True when it is time for another attempt."""
        return self.failure is None or now >= self._next_attempt

    def refuse(self, job: Job) -> None:
        """Answer a request that no process can take."""
        cause = f"The process of the model ended, and the model cannot be loaded again: {self.failure}"
        job.finish(error_answer(503, cause, retry_after=1))

    async def drain(self) -> None:
        """Wait until no request waits or runs."""
        if self.is_busy:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained

    def settle(self) -> None:
        """Tell who waits for the end of the requests; called when one has ended."""
        if self._drained is not None and not self._drained.done() and not self.is_busy:
            self._drained.set_result(None)
