"""The workers and the queue in front of them: dispatch, time-outs, and bringing back the dead."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from opt_ml.errors import UserError
from opt_ml.serving.answers import Answer, error_answer
from opt_ml.serving.http.deadlines import Overdue, overdue
from opt_ml.serving.packages import Packages
from opt_ml.serving.settings import Settings
from opt_ml.serving.workers.dispatch import Dispatch
from opt_ml.serving.workers.job_queue import JobQueue
from opt_ml.serving.workers.jobs import Call, Job
from opt_ml.serving.workers.processes import Children, Starts, describe_end
from opt_ml.serving.workers.worker_link import WorkerLink

_LONGEST_ABSENCE = 60.0  # seconds without a worker; a client of the platform waits no longer (HOST-50)
_TIMERS = 0.002  # seconds; those of uvloop count whole milliseconds, and may be early by more than one

OnFatal = Callable[[str, str], None]


class Pool:
    """`settings.workers` worker processes behind one bounded queue.

    Args:
        settings: see `Settings`.
        on_fatal: called once with (cause, traceback or empty) when there is no worker and none will come;
            what waited has its answer.
        children: shared by all pools of this process.
        is_late: see `late_pool`; requests wait for the first load, which may be tried again.
    """

    def __init__(
        self, settings: Settings, on_fatal: OnFatal, children: Children, is_late: bool = False
    ) -> None:
        self._settings = settings
        self._on_fatal = on_fatal
        self._loop = asyncio.get_running_loop()
        self._links: set[WorkerLink] = set()
        self._queue = JobQueue(settings.queue_size, settings.body_memory)
        self._dispatch = Dispatch(self._queue)
        self._children = children
        self._packages = Packages(settings.model_dir, children)
        self._starts = Starts()
        self._predictions = 0
        self._deaths = 0
        self._streams = 0
        self._broken_streams = 0
        self._was_ready = is_late
        self._last_loaded = -math.inf  # when a worker had its model last
        self._is_closing = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Install what the model asks for, then start all workers; `is_ready` says when one has loaded.

        It goes on after the return: the front has to answer /ping meanwhile.
        """
        self._keep(self._start())

    async def _start(self) -> None:
        try:
            await self._packages.install()
        except UserError as error:
            self._give_up(str(error), getattr(error, "details", ""))
            return
        for _ in range(self._settings.workers):
            await self._replace()

    @property
    def is_ready(self) -> bool:
        """True while a request that comes now is answered (HOST-43).

        Where the last worker has died, or took too long, requests wait for the next one. That takes seconds,
        and the platform replaces an instance that says 503 (HOST-44), which takes minutes.
        """
        absence = self._loop.time() - self._last_loaded
        return self._has_model or absence < min(self._settings.timeout, _LONGEST_ABSENCE)

    @property
    def _has_model(self) -> bool:
        return any(link.is_alive for link in self._links)

    @property
    def processes(self) -> list[int]:
        """The workers' process ids."""
        return [link.process for link in self._links]

    @property
    def is_busy(self) -> bool:
        """True while a request waits or runs."""
        return bool(self._queue) or any(link.calls for link in self._links)

    def gauges(self) -> dict[str, float]:
        """The state of now, for /metrics."""
        return {
            "workers_ready": sum(link.is_alive for link in self._links),
            "requests_waiting": len(self._queue),
            "requests_running": sum(len(call.jobs) for link in self._links for call in link.calls.values()),
        }

    def counters(self) -> dict[str, float]:
        """What happened since the start, for /metrics; requests by predictions is how many were joined."""
        return {
            "predictions_total": self._predictions,
            "worker_deaths_total": self._deaths,
            "streams_total": self._streams,
            "streams_broken_total": self._broken_streams,
        }

    def submit(self, job: Job) -> None:
        """Run `job` on a worker now, or when one is free; it always gets an answer."""
        job.since = self._loop.time()
        has_worker = self._dispatch.has_worker
        if not has_worker and not self._was_ready:
            job.finish(error_answer(503, "The model is still loading. Try again later.", retry_after=1))
        elif (has_worker and not self._queue) or self._queue.has_room_for(job):
            self._queue.add(job)
            if has_worker:
                self._dispatch.on_job()
        else:
            cause = f"All workers are busy and {len(self._queue)} requests wait. Try again later."
            job.finish(error_answer(503, cause, retry_after=1))

    def cancel(self, job: Job) -> None:
        """The client has gone: a waiting job is dropped, a running one is cancelled or ends for nobody."""
        job.is_wanted = False
        if self._queue.discard(job):
            return
        for link in self._links:
            for call in link.calls.values():
                if job in call.jobs and link.can_cancel(call):
                    link.cancel(call)

    def expire(self) -> None:
        """End what took longer than the time-out; called now and then."""
        now = self._loop.time()
        if self._has_model:
            self._last_loaded = now
        for job in self._queue.take_older(now - self._settings.timeout):
            cause = f"No worker was free for {self._settings.timeout:g} seconds. Try again later."
            job.finish(error_answer(503, cause, retry_after=1))
        for link in self._links:
            for call in list(link.calls.values()):
                late = overdue(call, link.concurrency > 1, self._settings, now)
                if late is not None and not link.is_expired:
                    self._end(link, call, late)

    def _end(self, link: WorkerLink, call: Call, late: Overdue) -> None:
        if late.cause:
            self._fail(call, 504, late.cause)
        if late.ends_worker:
            link.is_expired = True
            link.kill()
        else:
            link.cancel(call)

    def _fail(self, call: Call, status: int, cause: str, retry_after: int | None = None) -> None:
        """Answer for a call that will not end well, or break off its stream."""
        for job in call.jobs:
            if job.is_wanted and job.is_streaming:
                self._broken_streams += 1
                print(f"A stream was broken off. {cause}", file=sys.stderr, flush=True)
            job.finish(error_answer(status, cause, retry_after=retry_after))

    def on_ready(self, link: WorkerLink) -> None:
        """See `Owner`."""
        link.ready_at = self._last_loaded = self._loop.time()
        self._was_ready = True
        self._dispatch.offer(link)

    def on_failed(self, link: WorkerLink, cause: str, details: str) -> None:
        """See `Owner`."""
        link.failure = (cause, details)

    def on_answers(self, link: WorkerLink, call: Call, answers: list[Answer]) -> None:
        """See `Owner`."""
        self._predictions += 1
        wait = link.company.end(len(call.jobs))
        self._dispatch.offer(link)  # before the answers are written: the worker need not wait for that
        if wait:
            self._loop.call_later(wait + _TIMERS, self._dispatch.offer, link)
        for job, answer in zip(call.jobs, answers, strict=True):
            job.finish(answer)

    def on_end(self, link: WorkerLink, call: Call, cause: str | None) -> None:
        """See `Owner`."""
        self._predictions += 1
        self._streams += call.is_streaming
        self._dispatch.offer(link)
        if cause is None:
            for job in call.jobs:
                job.end()
        else:
            self._fail(call, 500, cause)

    def on_lost(self, link: WorkerLink) -> None:
        """See `Owner`."""
        self._dispatch.forget(link)
        if not self._is_closing:
            link.kill()  # nothing of it may linger, whichever way it lost its socket
        self._keep(self._bury(link))

    def on_child_signal(self) -> None:
        """SIGCHLD: note who ended, and close the sockets that a worker's own children still hold open."""
        self._children.reap()
        for link in self._links:
            if self._children.has_ended(link.process):
                self._loop.call_later(0.1, link.close)  # after its last words, which may still be unread

    async def close(self) -> None:
        """End all workers: those at work at once, the others by themselves, by force after a second."""
        self._is_closing = True
        self._packages.close()
        for link in self._links:
            if link.calls:
                link.kill()
            link.close()
        deadline = self._loop.time() + 1.0
        while self._links and self._loop.time() < deadline:
            await asyncio.sleep(0.01)
        for link in self._links:
            link.kill()

    async def _start_worker(self) -> None:
        link = WorkerLink(self, self._settings, self._packages.variables())
        self._children.watch(link.process)
        self._links.add(link)
        await link.connect()

    async def _bury(self, link: WorkerLink) -> None:
        """Answer for a dead worker, then replace it."""
        end = describe_end(await self._children.take(link.process))
        self._links.discard(link)
        if self._is_closing:
            return
        self._deaths += 1
        self._answer_for_dead(link, end)
        self._starts.count(None if link.ready_at is None else self._loop.time() - link.ready_at)
        cause, details = link.obituary(end)
        if not self._was_ready or (link.ready_at is None and self._is_hopeless()):
            self._give_up(cause, details)
            return
        print(f"{cause}\n{details}".rstrip(), file=sys.stderr, flush=True)
        await self._replace()

    def _answer_for_dead(self, link: WorkerLink, end: str) -> None:
        for call in link.calls.values():
            if len(call.jobs) == 1 or link.is_expired:
                cause = f"The worker {end} during this request."
                self._fail(call, 503, cause, retry_after=1)
            else:
                self._try_apart(call)
        self._dispatch.share_out()

    def _try_apart(self, call: Call) -> None:
        """Its worker died of one of them. Each goes again by itself, so that its neighbours never notice."""
        for job in reversed(call.jobs):
            job.is_alone = True
            if job.is_wanted:
                self._queue.add_first(job)

    async def _replace(self) -> None:
        """Start a worker, after a pause that grows with the failures before."""
        while not self._is_closing:
            await self._starts.pause()
            if self._is_closing:
                return
            try:
                await self._start_worker()
                return
            except OSError as error:  # no memory, or no process or file left
                self._starts.count(None)
                if self._is_hopeless():
                    self._give_up(f"A worker cannot be started: {error}. Use a larger instance.", "")

    def _is_hopeless(self) -> bool:
        return self._starts.are_hopeless and not self._has_model

    def _give_up(self, cause: str, details: str) -> None:
        if not self._is_closing:
            self._is_closing = True
            for job in self._queue.take_older(math.inf):
                job.finish(error_answer(503, f"No worker could be started: {cause}", retry_after=1))
            self._on_fatal(cause, details)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
