"""Which models there are, by name: loading, loaded, unloading, and the order in which they were used."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from opt_ml.serving.multi_model.dedicated import DedicatedModel, brings_code
from opt_ml.serving.multi_model.hosts import Hosts
from opt_ml.serving.multi_model.memory import MEGABYTE, Estimate, LoadError, Memory, size_of_files
from opt_ml.serving.multi_model.shared import SharedModel
from opt_ml.serving.settings import Settings
from opt_ml.serving.workers.jobs import Job
from opt_ml.serving.workers.pool import Pool
from opt_ml.serving.workers.processes import Children

_PROCESS = 40 * MEGABYTE  # of an interpreter with this package, until some have been measured


class Entry:
    """One name.

    Attributes:
        name: opaque (MME-13).
        url: the directory, as POST /models named it.
        number: of its load; later loads have greater ones.
        model: what answers; None while it loads.
        is_leaving: it is unloaded as soon as its requests are done.
        error: why it could not be loaded.
        changed: set when the load or the unload under way has ended.
    """

    def __init__(self, name: str, url: str, number: int, now: float) -> None:
        self.name = name
        self.url = url
        self.number = number
        self.model: SharedModel | DedicatedModel | None = None
        self.is_leaving = False
        self.error: LoadError | None = None
        self.changed = asyncio.Event()
        self.last_used = now

    @property
    def is_loaded(self) -> bool:
        """True from the end of its load until it is asked to leave."""
        return self.model is not None and not self.is_leaving


class Page(NamedTuple):
    """Some of the loaded models, and the number of the last where there are more."""

    entries: list[Entry]
    next: int | None


class Registry:
    """The models of this container.

    Args:
        settings: see `Settings`.
        on_fatal: called once with (cause, details) when no process can be had.
    """

    def __init__(self, settings: Settings, on_fatal: Callable[[str, str], None]) -> None:
        self._settings = settings
        self._children = Children()
        self._memory = Memory(settings.models_memory, self._processes)
        self._estimate = Estimate(_PROCESS)  # of models in processes of their own
        self._dedicated: set[DedicatedModel] = set()
        self._loop = asyncio.get_running_loop()
        self._entries: OrderedDict[str, Entry] = OrderedDict()  # the least recently used first
        self._last_number = 0
        self.hosts = Hosts(settings, self._memory, on_fatal, self._children)
        self.loads = 0
        self.failed_loads = 0
        self.unloads = 0

    def loaded(self) -> Iterator[Entry]:
        """The loaded models, the least recently used first."""
        return (entry for entry in self._entries.values() if entry.is_loaded)

    def pools(self) -> list[Pool]:
        """The pools of models with code of their own, those that load included."""
        return [model.pool for model in self._dedicated if model.pool is not None]

    def find(self, name: str) -> Entry | None:
        """The entry of a loaded model, or None."""
        entry = self._entries.get(name)
        return entry if entry is not None and entry.is_loaded else None

    def page(self, after: int, limit: int) -> Page:
        """At most `limit` loaded models with numbers above `after`, in the order of their loads (MME-09).

        A model that stays loaded is on exactly one page, whatever comes and goes between two of them.
        """
        found = sorted(
            (entry for entry in self.loaded() if entry.number > after), key=lambda entry: entry.number
        )
        return Page(found[:limit], found[limit - 1].number if len(found) > limit else None)

    async def load(self, name: str, url: str) -> None:
        """Load a model under a name.

        Raises:
            LoadError: 409 where the name is taken (MME-06), 507 where memory does not suffice (MME-07), else
                why it cannot be loaded.
        """
        while (known := self._entries.get(name)) is not None:
            if known.is_loaded:
                raise LoadError(409, f"The model is already loaded, from {known.url[:300]}.")
            await known.changed.wait()  # MME-19: 409 only once the other load has come to something
            if known.error is not None:
                raise known.error
        self._last_number += 1
        entry = self._entries[name] = Entry(name, url, self._last_number, self._loop.time())
        try:
            async with asyncio.timeout(self._settings.load_timeout):
                entry.model = await self._load(entry, Path(url))
            self.loads += 1
        except TimeoutError:
            limit = self._settings.load_timeout
            entry.error = LoadError(504, f"The model took longer than {limit:g} seconds to load.")  # MME-16
        except LoadError as error:
            entry.error = self._with_advice(error)
        except BaseException as error:
            entry.error = LoadError(500, f"The model was not loaded ({type(error).__name__}).")
            raise
        finally:
            if entry.model is None:
                self.failed_loads += 1
                del self._entries[name]  # nothing of it stays
            _change(entry)
        if entry.error is not None:
            print(f"{entry.error.cause}\n{entry.error.details}".rstrip(), file=sys.stderr, flush=True)
            raise entry.error

    async def unload(self, name: str) -> None:
        """Finish the model's requests and give its memory back (MME-11).

        Raises:
            LoadError: 404: it is not loaded.
        """
        while (entry := self._entries.get(name)) is not None and entry.model is None:
            await entry.changed.wait()
        if entry is None or entry.model is None or entry.is_leaving:
            raise not_loaded(name)
        entry.is_leaving = True
        try:
            if isinstance(entry.model, SharedModel):
                await self.hosts.unload(entry.model)
            else:
                await entry.model.unload()
                self._dedicated.discard(entry.model)
        finally:
            self.unloads += 1
            del self._entries[name]
            _change(entry)

    def invoke(self, name: str, job: Job) -> Callable[[], None] | None:
        """Let the model answer; what is returned is called if the client goes. None: it is not loaded."""
        entry = self._entries.get(name)
        if entry is None or entry.model is None or entry.is_leaving:
            return None
        entry.last_used = self._loop.time()
        self._entries.move_to_end(name)
        model = entry.model
        if isinstance(model, SharedModel):
            self.hosts.submit(job, model)
            return lambda: self.hosts.cancel(job, model)
        model.submit(job)
        return lambda: model.cancel(job)

    @property
    def is_busy(self) -> bool:
        """True while a request waits or runs."""
        return self.hosts.is_busy or any(pool.is_busy for pool in self.pools())

    def gauges(self) -> dict[str, float]:
        """The state of now, for /metrics; no series a model: there may be thousands (HOST-83)."""
        pools = [pool.gauges() for pool in self.pools()]
        total = {
            name: number + sum(pool.get(name, 0) for pool in pools)
            for name, number in self.hosts.gauges().items()
        }
        loaded = sum(1 for _ in self.loaded())
        return {"models_loaded": loaded, "least_recent_use_seconds": self.idle_seconds(), **total}

    def counters(self) -> dict[str, float]:
        """What happened since the start, for /metrics."""
        return {
            "model_loads_total": self.loads,
            "model_load_failures_total": self.failed_loads,
            "model_unloads_total": self.unloads,
            **self.hosts.counters(),
        }

    def idle_seconds(self) -> float:
        """Seconds since the least recently used model was used; 0 where there is none."""
        oldest = next(self.loaded(), None)
        return 0.0 if oldest is None else self._loop.time() - oldest.last_used

    def expire(self) -> None:
        """End what took longer than its time-out; called now and then."""
        self.hosts.expire()
        for pool in self.pools():
            pool.expire()

    def on_child_signal(self) -> None:
        """SIGCHLD."""
        self._children.reap()
        self.hosts.on_child_signal()
        for pool in self.pools():
            pool.on_child_signal()

    async def close(self) -> None:
        """End all processes."""
        await asyncio.gather(self.hosts.close(), *(pool.close() for pool in self.pools()))

    async def _load(self, entry: Entry, directory: Path) -> SharedModel | DedicatedModel:
        if not directory.is_absolute():
            shown = repr(entry.url[:300])
            raise LoadError(400, f"url: {shown} is not an absolute path. Name the model's directory.")
        size = await asyncio.to_thread(size_of_files, directory)
        if not brings_code(directory, os.environ):
            return await self.hosts.load(directory, size)
        model = DedicatedModel(self._settings, directory, self._children, self._memory)
        self._dedicated.add(model)
        try:
            with self._memory.promise(self._estimate.of(size), size):
                self._estimate.learn(size, await model.load())
        except BaseException:
            self._dedicated.discard(model)
            raise
        return model

    def _with_advice(self, error: LoadError) -> LoadError:
        """Where memory does not suffice, say what could go first."""
        oldest = next(self.loaded(), None)
        if error.status != 507 or oldest is None:
            return error
        idle = self._loop.time() - oldest.last_used
        advice = f"The least recently used model is {oldest.name[:100]!r}, used {idle:.0f} seconds ago."
        return LoadError(507, f"{error.cause} {advice}", error.details)

    def _processes(self) -> list[int]:
        """The process ids of all models."""
        shared = [process.link.process for process in self.hosts.shared if process.link is not None]
        return shared + [number for pool in self.pools() for number in pool.processes]


def not_loaded(name: str) -> LoadError:
    """404 (MME-10, MME-11, MME-12)."""
    return LoadError(404, f"The model {name[:200]!r} is not loaded. POST /models loads one.")


def _change(entry: Entry) -> None:
    """Wake those who wait for what has just ended; who comes later waits for the next change."""
    entry.changed.set()
    entry.changed = asyncio.Event()
