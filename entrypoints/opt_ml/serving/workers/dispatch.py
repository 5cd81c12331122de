"""Which worker takes what waits, and when."""

from __future__ import annotations

import asyncio
import math

from opt_ml.serving.workers.job_queue import JobQueue
from opt_ml.serving.workers.worker_link import WorkerLink

_ENOUGH = 16
"""Requests of one call from which more of them hardly make each cheaper."""


class Dispatch:
    """Gives the jobs of a queue to the workers that have room.

    A worker that joins requests gets them at the end of the event loop's turn, so that what was received in
    one turn is one call. Given each at once, the first would be a call by itself, which costs a model nearly
    as much as one of ten rows, and the others would wait for that. While other calls run, few requests wait
    further turns, as long as each turn brings more: a process that is busy receiving them would only lose
    time to a worker with little to do. More than a few are shared by all workers: were one given all, the
    others would wait for its clients.

    Args:
        queue: whose jobs these are.
    """

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue
        self._loop = asyncio.get_running_loop()
        self._idle: list[WorkerLink] = []
        self._busy: set[WorkerLink] = set()
        self._is_due = False  # at the end of this turn
        self._seen = 0  # jobs that waited at the end of the last turn

    @property
    def has_worker(self) -> bool:
        """True where a worker has room."""
        return bool(self._idle)

    def on_job(self) -> None:
        """A job was added while a worker has room; see `has_worker`."""
        link = self._by_load()[0]
        if link.joins:
            self._share_out_later()
        else:
            self._give(link)

    def offer(self, link: WorkerLink) -> None:
        """Let a worker that may have room take what waits, unless more is about to come."""
        if link.joins and link.has_room and 0 < len(self._queue) < _ENOUGH:
            self._note(link)
            self._share_out_later()
        else:
            self._give(link)

    def share_out(self) -> None:
        """Let the workers that have room take what waits."""
        self._is_due = False
        waiting = len(self._queue)
        if self._busy and self._seen < waiting < _ENOUGH:
            self._seen = waiting
            self._share_out_later()
            return
        self._seen = 0
        for link in self._by_load():
            self._give(link)

    def forget(self, link: WorkerLink) -> None:
        """It takes nothing more."""
        self._busy.discard(link)
        if link in self._idle:
            self._idle.remove(link)

    def _share_out_later(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self.share_out)

    def _give(self, link: WorkerLink) -> None:
        now = self._loop.time()
        while self._queue and link.has_room and not link.company.is_awaited(len(self._queue)):
            link.run(self._queue.take(self._share(link) if link.joins else 1), now)
        self._note(link)

    def _share(self, link: WorkerLink) -> int:
        """The most requests of one call: as many as each worker has where all have the same.

        Args:
            link: counts, too, where it has just become ready.
        """
        links = {link, *self._idle, *self._busy}
        known = len(self._queue) + sum(len(call.jobs) for one in links for call in one.calls.values())
        return max(_ENOUGH, math.ceil(known / len(links)))

    def _note(self, link: WorkerLink) -> None:
        self.forget(link)
        if link.has_room:
            self._idle.append(link)
        if link.calls:
            self._busy.add(link)

    def _by_load(self) -> list[WorkerLink]:
        """The workers with room: first who has the least to do, of equals who was busy last."""
        links = self._idle[::-1]
        links.sort(key=_load)
        return links


def _load(link: WorkerLink) -> int:
    return len(link.calls)
