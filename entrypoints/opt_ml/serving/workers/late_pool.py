"""The workers behind a quick path: a pool that starts at the first request which needs one.

A model whose compiled form serves is no reason to end the container where its workers cannot be had, for
want of memory for their frameworks, say. The requests that need one are refused then, with the cause.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

from opt_ml.serving.answers import error_answer
from opt_ml.serving.settings import Settings
from opt_ml.serving.workers.jobs import Job
from opt_ml.serving.workers.pool import Pool
from opt_ml.serving.workers.processes import Children

_PAUSE = 30.0  # seconds between two attempts; each imports frameworks several times


class LatePool:
    """See `Pool`.

    Args:
        settings: see `Settings`.
        children: of this process.
    """

    def __init__(self, settings: Settings, children: Children) -> None:
        self._settings = settings
        self._children = children
        self._loop = asyncio.get_running_loop()
        self._pool = self._new_pool()
        self._is_started = False
        self._cause = ""  # why there are no workers
        self._next_attempt = 0.0
        self._ended: Counter[str] = Counter()  # what the pools before this one counted
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_ready(self) -> bool:
        """True while at least one worker has its model."""
        return self._pool.is_ready

    @property
    def is_busy(self) -> bool:
        """True while a request waits or runs."""
        return self._pool.is_busy

    def gauges(self) -> dict[str, float]:
        """The state of now, for /metrics."""
        return self._pool.gauges()

    def counters(self) -> dict[str, float]:
        """What happened since the start, for /metrics."""
        return {name: number + self._ended[name] for name, number in self._pool.counters().items()}

    def submit(self, job: Job) -> None:
        """Run `job` on a worker as soon as there is one; it always gets an answer."""
        now = self._loop.time()
        if not self._is_started and now < self._next_attempt:
            wait = int(self._next_attempt - now) + 1
            job.finish(error_answer(503, f"No worker could be started: {self._cause}", retry_after=wait))
            return
        if not self._is_started:
            self._is_started = True
            self._keep(self._loop.create_task(self._pool.start()))
        self._pool.submit(job)

    def cancel(self, job: Job) -> None:
        """The client has gone."""
        job.is_wanted = False
        self._pool.cancel(job)

    def expire(self) -> None:
        """End what took longer than the time-out; called now and then."""
        self._pool.expire()

    def on_child_signal(self) -> None:
        """SIGCHLD."""
        self._pool.on_child_signal()

    async def close(self) -> None:
        """End all workers."""
        await self._pool.close()

    def _new_pool(self) -> Pool:
        return Pool(self._settings, self._on_fatal, self._children, is_late=True)

    def _on_fatal(self, cause: str, details: str) -> None:
        print(f"{cause}\n{details}".rstrip(), file=sys.stderr, flush=True)
        print(
            f"No worker could be started. The compiled model serves what it can; the next attempt is in "
            f"{_PAUSE:g} seconds at the earliest.",
            file=sys.stderr,
            flush=True,
        )
        pool, self._pool = self._pool, self._new_pool()
        self._ended.update(pool.counters())
        self._is_started = False
        self._cause = cause
        self._next_attempt = self._loop.time() + _PAUSE
        self._keep(self._loop.create_task(pool.close()))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
