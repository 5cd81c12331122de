"""One shared process from the front's side: kept alive, with the models that it shall have."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from opt_ml.resources import own_memory
from opt_ml.serving.answers import Answer, error_answer
from opt_ml.serving.multi_model.host_link import Group, HostLink, HostLostError
from opt_ml.serving.multi_model.memory import LoadError, Memory
from opt_ml.serving.multi_model.shared import SharedModel
from opt_ml.serving.multi_model.turns import Turns
from opt_ml.serving.settings import Settings
from opt_ml.serving.workers.jobs import Job
from opt_ml.serving.workers.processes import Children, describe_end, pause_after

_SHORT_LIFE = 5.0  # seconds; a process that dies sooner than that waits before its next start


class SharedProcess:
    """When the process dies it is started again, and its models are loaded again.

    Args:
        settings: see `Settings`.
        children: see `Children`.
        memory: watches each load.
        on_failed: called with the cause when a start came to nothing.

    Attributes:
        models: those that it shall have, by key.
        link: to the process of now; None before the first.
        deaths, predictions: counts since the start.
        failures: starts in a row that came to nothing.
        size: bytes of the files of its models, those that load now included.
    """

    def __init__(
        self,
        settings: Settings,
        children: Children,
        memory: Memory,
        on_failed: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._children = children
        self._memory = memory
        self._on_failed = on_failed
        self._loop = asyncio.get_running_loop()
        self._lock = asyncio.Lock()  # loads and unloads: one at a time
        self._turns = Turns()
        self._ready = asyncio.Event()
        self._lost = asyncio.Event()
        self._reloading: asyncio.Task[None] | None = None
        self._is_closing = False
        self.models: dict[int, SharedModel] = {}
        self.link: HostLink | None = None
        self.deaths = 0
        self.predictions = 0
        self.failures = 0
        self.size = 0

    @property
    def is_alive(self) -> bool:
        """True while it can serve."""
        return self.link is not None and self.link.is_alive

    @property
    def is_idle(self) -> bool:
        """True while it could begin with a request at once."""
        return self.link is not None and self.link.is_alive and not self.link.groups

    @property
    def running(self) -> int:
        """Requests that it works on."""
        if self.link is None:
            return 0
        return len(self.link.late) + sum(len(group.jobs) for group in self.link.groups)

    async def live(self) -> None:
        """Start the process, and start it again whenever it dies, until `close`."""
        while not self._is_closing:
            if self.failures:
                await asyncio.sleep(pause_after(self.failures))
            self._ready.clear()
            self._lost.clear()
            try:
                link = self.link = HostLink(self, self._settings.workers)
                self._children.watch(link.process)
                await link.connect()
            except OSError as error:  # no memory, or no process or file left
                self.failures += 1
                self._on_failed(f"A process for models cannot be started: {error}. Use a larger instance.")
                continue
            await self._lost.wait()
            link.kill()  # nothing of it may linger, whichever way it lost its socket
            await self._bury(link)

    async def load(self, model: SharedModel) -> int:
        """Load a model beside the others; returns the bytes of memory that the process grew by.

        Raises:
            LoadError: it cannot be loaded.
        """
        self.size += model.size
        try:
            async with self._lock:
                try:
                    growth = await self._load(model)
                except HostLostError:  # not of this load
                    growth = await self._load(model, is_last=True)
        except BaseException:
            self.size -= model.size
            raise
        self.models[model.key] = model
        return growth

    async def unload(self, model: SharedModel) -> None:
        """Let go of a model, after what the process does for it now."""
        self._let_go(model)
        async with self._lock:
            self._let_go(model)  # it may have been on its way back
            if self.link is not None and model.key in self.link.loaded:
                with suppress(HostLostError):
                    await self.link.unload(model.key)

    def _let_go(self, model: SharedModel) -> None:
        """Send it no request any more."""
        self._turns.remove(model)
        if self in model.homes:
            model.homes.remove(self)
        if self.models.pop(model.key, None) is not None:
            self.size -= model.size

    def enlist(self, model: SharedModel) -> None:
        """Give a model with waiting requests its turn."""
        self._turns.add(model)

    def give_work(self) -> None:
        """Let the process take what waits, if it is free: several models at once while they are fast."""
        if self.link is not None and self.is_idle and (groups := self._turns.next_groups()):
            self.link.run(groups, self._loop.time())

    def expire(self, now: float) -> None:
        """End the process where a request takes longer than the time-out."""
        if self.link is not None:
            self.link.expire(now, self._settings.timeout)

    def bring_back(self) -> None:
        """Load what it shall have and has not."""
        if self.is_alive and (self._reloading is None or self._reloading.done()):
            self._reloading = self._loop.create_task(self._reload())

    def on_child_signal(self) -> None:
        """A child has ended: close the socket, which its own children may still hold open."""
        if self.link is not None and self._children.has_ended(self.link.process):
            self._loop.call_later(0.1, self.link.close)  # after its last words, which may still be unread

    def close(self) -> None:
        """Let the process end after what it does now."""
        self._is_closing = True
        if self.link is not None:
            self.link.close()

    def kill(self) -> None:
        """End the process now."""
        if self.link is not None and not self.link.is_lost:
            self.link.kill()

    def on_ready(self) -> None:
        """See `host_link.Owner`."""
        if self.link is not None:
            self.link.ready_at = self._loop.time()
        self._ready.set()
        self.bring_back()

    def on_answers(
        self, groups: Sequence[Group], seconds: list[float], answers: list[list[Answer | None]]
    ) -> None:
        """See `host_link.Owner`."""
        self.predictions += len(groups)
        for group, took in zip(groups, seconds, strict=True):
            group.model.measure(took)
        self.give_work()  # before the answers are written: the process need not wait for that
        for group, found in zip(groups, answers, strict=True):
            for job, answer in zip(group.jobs, found, strict=True):
                if answer is not None:
                    self.on_late(group.model, job, answer)

    def on_late(self, model: SharedModel, job: Job, answer: Answer) -> None:
        """See `host_link.Owner`."""
        model.running -= 1
        job.finish(answer)
        model.settle()

    def on_lost(self) -> None:
        """See `host_link.Owner`."""
        self._ready.clear()
        self._lost.set()

    async def _load(self, model: SharedModel, is_last: bool = False) -> int:
        await self._ready.wait()
        link = self.link
        if link is None:
            raise HostLostError
        before = own_memory(link.process)
        guard = self._loop.create_task(self._memory.guard(link.starve))
        try:
            told = await link.load(model.key, model.directory)
        except HostLostError:
            end = await asyncio.shield(link.end)
            if not is_last and (link.is_expired or link.groups):
                raise
            raise link.explain(end) from None
        except asyncio.CancelledError:  # out of time: a thread cannot be ended, only its process
            link.kill()
            raise
        finally:
            guard.cancel()
        model.joins, model.wants_headers = told["joins"], told["wants_headers"]
        model.recover()
        model.homes.append(self)
        return own_memory(link.process) - before

    async def _reload(self) -> None:
        while self.is_alive:
            missing = [
                model for model in self.models.values() if self not in model.homes and model.failure is None
            ]
            if not missing:
                return
            model = max(missing, key=lambda model: (bool(model.queue), model.last_used))
            async with self._lock:
                if model.key in self.models and self not in model.homes:
                    await self._load_again(model)

    async def _load_again(self, model: SharedModel) -> None:
        try:
            await self._load(model)
        except HostLostError:
            return
        except LoadError as error:
            print(f"A model cannot be loaded again: {error.cause}\n{error.details}".rstrip(), file=sys.stderr)
            if model.homes:
                self._let_go(model)  # it was a copy
            else:
                model.fail(error.cause, self._loop.time())
            return
        if model.queue:
            self.enlist(model)
            self.give_work()

    async def _bury(self, link: HostLink) -> None:
        """Answer for a dead process."""
        end = describe_end(await self._children.take(link.process))
        for model in self.models.values():
            if self in model.homes:
                model.homes.remove(self)
        self._turns = Turns()
        if not self._is_closing:
            self.deaths += 1
            is_short = link.ready_at is None or self._loop.time() - link.ready_at < _SHORT_LIFE
            self.failures = self.failures + 1 if is_short else 0
            print(f"A process with {len(self.models)} models {end} and is replaced.", file=sys.stderr)
            self._answer_for_dead(link, end)
            if link.ready_at is None:
                self._on_failed(f"A process for models {end} before it was ready.")
        link.end.set_result(end)

    def _answer_for_dead(self, link: HostLink, end: str) -> None:
        cause = f"The model's process {end} during this request."
        for model, job in link.late.values():
            model.running -= 1
            job.finish(error_answer(503, cause, retry_after=1))
            model.settle()
        jobs = [(group.model, job) for group in link.groups for job in group.jobs]
        for model, job in reversed(jobs):
            model.running -= 1
            if len(jobs) == 1 or link.is_expired:
                job.finish(error_answer(503, cause, retry_after=1))
            elif job.is_wanted:
                job.is_alone = True  # one of them did it; its neighbours shall never notice
                model.queue.appendleft(job)
        for model in {model.key: model for model, _ in jobs}.values():
            model.settle()
            model.offer()
