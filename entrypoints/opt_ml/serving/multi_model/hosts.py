"""The shared processes together: which model goes where, and what waits for whom."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from opt_ml.serving.answers import error_answer
from opt_ml.serving.multi_model.memory import MEGABYTE, Estimate, LoadError, Memory
from opt_ml.serving.multi_model.shared import SharedModel
from opt_ml.serving.multi_model.shared_process import SharedProcess
from opt_ml.serving.settings import Settings
from opt_ml.serving.workers.jobs import Job
from opt_ml.serving.workers.processes import Children

_FIRST_ESTIMATE = MEGABYTE // 2  # bytes of memory of a model besides its files
_STARTS = 5  # failed in a row, with no other process alive, before the container gives up
_COPY_AT = 8  # requests that wait for one model while a process without it has nothing to do
_COPY_LIFE = 60.0  # seconds without a request after which copies of a model are dropped


class Hosts:
    """`settings.workers` processes that share all models of the image's own handler.

    A model begins in the process that has the fewest bytes of models. One that is asked for more than its
    process can do gets copies in others, as long as there is memory.

    Args:
        settings: see `Settings`.
        memory: what is left for models.
        on_fatal: called once with (cause, details) when there is no process and none will come.
        children: see `Children`.
    """

    def __init__(
        self,
        settings: Settings,
        memory: Memory,
        on_fatal: Callable[[str, str], None],
        children: Children,
    ) -> None:
        self._settings = settings
        self._memory = memory
        self._estimate = Estimate(_FIRST_ESTIMATE)
        self._on_fatal = on_fatal
        self._loop = asyncio.get_running_loop()
        self._keys = itertools.count(1)
        self._queued: dict[SharedModel, None] = {}
        self._copied: set[SharedModel] = set()
        self._is_closing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.shared = [
            SharedProcess(settings, children, memory, self._on_failed) for _ in range(settings.workers)
        ]

    def start(self) -> None:
        """Start all processes."""
        for process in self.shared:
            self._keep(process.live())

    @property
    def is_ready(self) -> bool:
        """True while at least one process waits for models or has some."""
        return any(process.is_alive for process in self.shared)

    @property
    def is_busy(self) -> bool:
        """True while a request waits or runs."""
        return bool(self._queued) or any(process.running for process in self.shared)

    def gauges(self) -> dict[str, float]:
        """The state of now, for /metrics."""
        return {
            "models_absent": sum(not model.homes for one in self.shared for model in one.models.values()),
            "workers_ready": sum(process.is_alive for process in self.shared),
            "requests_waiting": sum(len(model.queue) for model in self._queued),
            "requests_running": sum(process.running for process in self.shared),
        }

    def counters(self) -> dict[str, float]:
        """What happened since the start, for /metrics."""
        return {
            "predictions_total": sum(process.predictions for process in self.shared),
            "worker_deaths_total": sum(process.deaths for process in self.shared),
        }

    async def load(self, directory: Path, size: int) -> SharedModel:
        """Load a model into one process.

        Args:
            directory: its files.
            size: bytes of those files.

        Raises:
            LoadError: 507 where memory does not suffice; else what the handler said.
        """
        model = SharedModel(next(self._keys), directory, size)
        model.last_used = self._loop.time()
        await self._make_room(size)
        process = min(self.shared, key=_load)
        await self._load(model, process)
        return model

    async def unload(self, model: SharedModel) -> None:
        """Finish its requests, then let go of it everywhere."""
        await model.drain()
        if model.copying is not None:  # else the copy would stay for good
            await model.copying
        self._copied.discard(model)
        for process in self.shared:
            if model.key in process.models:
                await process.unload(model)

    def submit(self, job: Job, model: SharedModel) -> None:
        """Let a process answer, now or when it is free; the job always gets an answer."""
        now = job.since = model.last_used = self._loop.time()
        if len(model.queue) >= self._settings.model_queue_size:  # MME-21
            cause = f"{len(model.queue)} requests to this model wait. Try again later."
            job.finish(error_answer(503, cause, retry_after=1))
            return
        if not model.homes and model.failure is not None:
            if not model.may_try(now):
                model.refuse(job)
                return
            model.failure = None
            for process in self.shared:
                if model.key in process.models:
                    process.bring_back()
        model.queue.append(job)
        self._queued[model] = None
        model.offer()
        self._copy_if_hot(model)

    def cancel(self, job: Job, model: SharedModel) -> None:
        """The client has gone: a waiting job is dropped, a running one ends for nobody."""
        job.is_wanted = False
        if job in model.queue:
            model.queue.remove(job)
            model.settle()

    def expire(self) -> None:
        """End what took longer than the time-out; called now and then."""
        now = self._loop.time()
        for model in list(self._queued):
            while model.queue and model.queue[0].since < now - self._settings.timeout:
                cause = f"No process was free for {self._settings.timeout:g} seconds. Try again later."
                model.queue.popleft().finish(error_answer(503, cause, retry_after=1))
                model.settle()
            if not model.queue:
                del self._queued[model]
            self._copy_if_hot(model)
        for process in self.shared:
            process.expire(now)
        self._drop_copies(now - _COPY_LIFE)

    def on_child_signal(self) -> None:
        """A child of this process has ended."""
        for process in self.shared:
            process.on_child_signal()

    async def close(self) -> None:
        """End all processes: those at work at once, the others by themselves, by force after a second."""
        self._is_closing = True
        for process in self.shared:
            if not process.is_idle:
                process.kill()
            process.close()
        deadline = self._loop.time() + 1.0
        while any(process.link and not process.link.is_lost for process in self.shared):
            if self._loop.time() >= deadline:
                break
            await asyncio.sleep(0.01)
        for process in self.shared:
            process.kill()

    async def _load(self, model: SharedModel, process: SharedProcess) -> None:
        is_first = not process.models  # it brings the libraries, and says nothing of the next one
        with self._memory.promise(self._estimate.of(model.size), model.size):
            growth = await process.load(model)
        if not is_first:
            self._estimate.learn(model.size, growth)

    async def _make_room(self, size: int) -> None:
        """Give up copies where that makes room for a model."""
        if self._estimate.of(size) > self._memory.left():
            await asyncio.gather(*self._unload_copies(self._loop.time()))

    def _copy_if_hot(self, model: SharedModel) -> None:
        """Let an idle process help with a model that many ask for."""
        if len(model.queue) < _COPY_AT or not model.homes:
            return
        most = self._settings.most_copies or len(self.shared)
        free = [one for one in self.shared if one.is_idle and model.key not in one.models]
        if free and model.copying is None and len(model.homes) < most:
            model.copying = self._keep(self._load_copy(model, min(free, key=_load)))

    async def _load_copy(self, model: SharedModel, process: SharedProcess) -> None:
        try:
            await self._load(model, process)
            self._copied.add(model)
            model.offer()
        except LoadError as error:
            print(f"A model that many ask for gets no copy: {error.cause}", file=sys.stderr, flush=True)
        finally:
            model.copying = None

    def _drop_copies(self, unused_since: float) -> None:
        for unloading in self._unload_copies(unused_since):
            self._keep(unloading)

    def _unload_copies(self, unused_since: float) -> list[Coroutine[Any, Any, None]]:
        """The unloading of all copies but one of each model that was not used since a time."""
        unloading = []
        for model in list(self._copied):
            if model.last_used <= unused_since and not model.is_busy:
                unloading += [process.unload(model) for process in model.homes[1:]]
                self._copied.discard(model)
        return unloading

    def _on_failed(self, cause: str) -> None:
        is_hopeless = all(process.failures >= _STARTS for process in self.shared)
        if is_hopeless and not self.is_ready and not self._is_closing:
            self._is_closing = True
            self._on_fatal(cause, "")

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _load(process: SharedProcess) -> tuple[bool, int, int]:
    return not process.is_alive, process.size, len(process.models)
