"""The requests that wait for a worker: a bounded queue, from which small ones may be taken together."""

from __future__ import annotations

from collections import deque

from opt_ml.serving.workers.jobs import Job

_MOST_JOINED = 64  # requests in one prediction
_JOINED_BYTES = 1 << 18  # of their bodies; larger requests gain nothing from company, and would wait for it


class JobQueue:
    """First come, first served.

    Args:
        most_jobs: that may wait.
        most_bytes: of their bodies, so that a queue of big ones fits in memory.
    """

    def __init__(self, most_jobs: int, most_bytes: int) -> None:
        self._most_jobs = most_jobs
        self._most_bytes = most_bytes
        self._jobs: deque[Job] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._jobs)

    def has_room_for(self, job: Job) -> bool:
        """True where the job may wait too."""
        return len(self._jobs) < self._most_jobs and self._bytes + len(job.body) <= self._most_bytes

    def add(self, job: Job) -> None:
        """Let it wait as the last."""
        self._jobs.append(job)
        self._bytes += len(job.body)

    def add_first(self, job: Job) -> None:
        """Let it wait as the first; it has been here before, so limits are not asked."""
        self._jobs.appendleft(job)
        self._bytes += len(job.body)

    def discard(self, job: Job) -> bool:
        """Take out one that waits no more. False where it is not here."""
        if job not in self._jobs:
            return False
        self._jobs.remove(job)
        self._bytes -= len(job.body)
        return True

    def take_older(self, limit: float) -> list[Job]:
        """Take out all that have waited since before `limit`, in event loop time."""
        old = []
        while self._jobs and self._jobs[0].since < limit:
            old.append(self._next())
        return old

    def take(self, most: int) -> list[Job]:
        """Take out the next call of a worker: at least one request, and no more than `most` or the limits.

        What is here now came while the worker was busy, or soon after; see `company`.
        """
        jobs = [self._next()]
        size = len(jobs[0].body)
        most = 1 if jobs[0].is_alone else min(most, _MOST_JOINED)
        while self._jobs and len(jobs) < most:
            size += len(self._jobs[0].body)
            if size > _JOINED_BYTES or self._jobs[0].is_alone:
                break
            jobs.append(self._next())
        return jobs

    def _next(self) -> Job:
        job = self._jobs.popleft()
        self._bytes -= len(job.body)
        return job
