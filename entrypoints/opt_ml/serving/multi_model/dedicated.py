"""A model with code of its own: a process of its own, because modules of one name exclude each other."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from opt_ml.errors import is_out_of_memory
from opt_ml.resources import own_memory
from opt_ml.serving.answers import error_answer
from opt_ml.serving.multi_model.memory import LoadError, Memory
from opt_ml.serving.packages import requirements_files
from opt_ml.serving.settings import Settings
from opt_ml.serving.workers.jobs import Job
from opt_ml.serving.workers.pool import Pool
from opt_ml.serving.workers.processes import Children

_LOOK = 0.01  # seconds between two looks at a process that starts or ends
_PAUSE = 5.0  # seconds between two attempts to bring a model back


def brings_code(directory: Path, environment: Mapping[str, str]) -> bool:
    """True for a model that is not served by the image's own handler alone (HANDLER-01, HANDLER-13)."""
    is_named = bool(environment.get("SAGEMAKER_PROGRAM"))
    has_program = is_named or (directory / "code" / "inference.py").is_file()
    return has_program or bool(requirements_files(directory, environment))


class DedicatedModel:
    """One model behind a pool of one worker.

    Args:
        settings: of the container.
        directory: the model's files.
        children: see `Children`.
        memory: watches each load.
    """

    def __init__(self, settings: Settings, directory: Path, children: Children, memory: Memory) -> None:
        self._settings = replace(
            settings,
            model_dir=directory,
            workers=1,
            sharers=settings.workers,
            queue_size=settings.model_queue_size,
        )
        self._children = children
        self._memory = memory
        self._loop = asyncio.get_running_loop()
        self._pool: Pool | None = None
        self._fatal: tuple[str, str] | None = None
        self._reviving: asyncio.Task[None] | None = None
        self._next_attempt = 0.0

    @property
    def pool(self) -> Pool | None:
        """The pool of now; None while the model could not be brought back after its process died."""
        return self._pool

    @property
    def is_busy(self) -> bool:
        """True while a request waits or runs."""
        return self._pool is not None and self._pool.is_busy

    async def load(self) -> int:
        """Start the process and wait for its model; returns its bytes of memory.

        Raises:
            LoadError: the model cannot be loaded.
        """
        self._fatal = None
        pool = self._pool = Pool(self._settings, self._on_fatal, self._children)
        guard = self._loop.create_task(self._memory.guard(self._starve))
        try:
            await pool.start()
            while not pool.is_ready and self._fatal is None:
                await asyncio.sleep(_LOOK)
            if self._fatal is not None:
                raise _load_error(*self._fatal)
        except BaseException:
            self._pool = None
            await pool.close()
            raise
        finally:
            guard.cancel()
        return sum(map(own_memory, pool.processes))

    async def unload(self) -> None:
        """Finish the requests, then end the process."""
        while self.is_busy:
            await asyncio.sleep(_LOOK)
        if self._reviving is not None:
            self._reviving.cancel()
        await self.close()

    async def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            await self._pool.close()

    def submit(self, job: Job) -> None:
        """Let the process answer, now or when it is free; the job always gets an answer."""
        if self._fatal is None and self._pool is not None:
            self._pool.submit(job)
            return
        cause = self._fatal[0] if self._fatal else "its process ended"
        job.finish(error_answer(503, f"The model cannot be loaded again: {cause}", retry_after=1))
        if self._reviving is None and self._loop.time() >= self._next_attempt:
            self._reviving = self._loop.create_task(self._revive())

    def cancel(self, job: Job) -> None:
        """The client has gone."""
        if self._pool is not None:
            self._pool.cancel(job)
        job.is_wanted = False

    async def _revive(self) -> None:
        try:
            await self.close()
            await self.load()
        except LoadError as error:
            self._fatal = (error.cause, error.details)
            self._next_attempt = self._loop.time() + _PAUSE
            print(f"A model cannot be loaded again: {error.cause}", file=sys.stderr, flush=True)
        finally:
            self._reviving = None

    def _starve(self) -> None:
        self._fatal = ("out of memory: loading the model took all that was left. Unload a model.", "")

    def _on_fatal(self, cause: str, details: str) -> None:
        self._fatal = (cause, details)


def _load_error(cause: str, details: str) -> LoadError:
    if is_out_of_memory(cause):
        return LoadError(507, f"Not enough memory: {cause}", details)
    is_users = not details and not cause.startswith("A worker")
    return LoadError(400 if is_users else 500, cause, details)
