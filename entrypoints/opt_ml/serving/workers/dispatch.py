"""Which worker takes what waits, and when."""

from __future__ import annotations

import asyncio

from opt_ml.serving.workers.job_queue import JobQueue
from opt_ml.serving.workers.worker_link import WorkerLink


class Dispatch:
    """Gives the jobs of a queue to the workers that have room.

    A worker that joins requests gets them at the end of the event loop's turn, so that what was received in
    one turn is one call. Given each at once, the first would be a call by itself, which costs a model nearly
    as much as one of ten rows, and the others would wait for that.

    Args:
        queue: whose jobs these are.
    """

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue
        self._loop = asyncio.get_running_loop()
        self._idle: list[WorkerLink] = []
        self._is_due = False  # at the end of this turn

    @property
    def has_worker(self) -> bool:
        """True where a worker has room."""
        return bool(self._idle)

    def on_job(self) -> None:
        """A job was added while a worker has room; see `has_worker`."""
        link = self._by_load()[0]
        if not link.joins:
            self.offer(link)
        elif not self._is_due:
            self._is_due = True
            self._loop.call_soon(self.share_out)

    def share_out(self) -> None:
        """Let the workers that have room take what waits."""
        self._is_due = False
        for link in self._by_load():
            self.offer(link)

    def offer(self, link: WorkerLink) -> None:
        """Let a worker that may have room take what waits, unless more is about to come."""
        now = self._loop.time()
        while self._queue and link.has_room and not link.company.is_awaited(len(self._queue), now):
            link.run(self._queue.take(link.joins), now)
        if link.has_room and link not in self._idle:
            self._idle.append(link)
        elif not link.has_room:
            self.forget(link)

    def forget(self, link: WorkerLink) -> None:
        """It takes nothing more."""
        if link in self._idle:
            self._idle.remove(link)

    def _by_load(self) -> list[WorkerLink]:
        """The workers with room: first who has the least to do, of equals who was busy last."""
        links = self._idle[::-1]
        links.sort(key=_load)
        return links


def _load(link: WorkerLink) -> int:
    return len(link.calls)
