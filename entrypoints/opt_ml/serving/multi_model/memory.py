"""Whether one more model fits: what it will probably take against what there still is (MME-07)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from opt_ml.resources import available_memory, memory_limit, own_memory

MEGABYTE = 1024 * 1024
_LARGE = 16 * MEGABYTE  # files from which on a model says how memory grows with their size
_LARGEST_MARGIN = 256 * MEGABYTE  # left free for requests, or a twentieth of all where that is less
_GUARD_INTERVAL = 0.05  # seconds between two looks at the memory during a load


class LoadError(Exception):
    """A model that cannot be loaded.

    Args:
        status: of the answer: 507 where it does not fit into memory (MME-07), others by MME-08.
        cause: one line, and what to do.
        details: a traceback for the log, or empty.
    """

    def __init__(self, status: int, cause: str, details: str = "") -> None:
        super().__init__(cause)
        self.status = status
        self.cause = cause
        self.details = details


class Estimate:
    """What models of one kind take: a part that each takes, and a part that grows with its files.

    Args:
        base: bytes that each takes, until some have been measured.
    """

    def __init__(self, base: int) -> None:
        self._base = float(base)
        self._factor = 1.0  # rather too little: what a load really takes is watched
        self._measured = 0

    def of(self, size: int) -> int:
        """Bytes of memory that a model with files of `size` bytes will take."""
        return int(self._base + self._factor * size)

    def learn(self, size: int, growth: int) -> None:
        """A model with files of `size` bytes made its process grow by `growth` bytes."""
        self._measured += 1
        weight = 1 / min(self._measured, 20)
        if size >= _LARGE:
            self._factor += weight * (max(0, growth - self._base) / size - self._factor)
        self._base += weight * (max(0.0, growth - self._factor * size) - self._base)


class Memory:
    """What the models of this container may take together.

    Args:
        budget: bytes for all processes of models, or None for what the container has.
        processes: tells the process ids of all models.
    """

    def __init__(self, budget: int | None, processes: Callable[[], list[int]]) -> None:
        self._budget = budget
        self._processes = processes
        self._margin = min(_LARGEST_MARGIN, memory_limit() // 20)
        self._promised = 0  # to models that load now

    def left(self) -> int:
        """Bytes for further models."""
        free = available_memory() - self._margin
        if self._budget is not None:
            free = min(free, self._budget - sum(map(own_memory, self._processes())))
        return free - self._promised

    @contextmanager
    def promise(self, need: int, size: int) -> Iterator[None]:
        """Keep `need` bytes for a model with files of `size` bytes while it loads.

        Raises:
            LoadError: 507: they are not there.
        """
        left = self.left()
        if need > left:
            raise LoadError(
                507,
                f"Not enough memory: the model needs about {need / MEGABYTE:.0f} MB "
                f"(its files have {size / MEGABYTE:.1f} MB), and {max(0, left) / MEGABYTE:.0f} MB are left. "
                "Unload a model, or use a larger instance.",
            )
        self._promised += need
        try:
            yield
        finally:
            self._promised -= need

    async def guard(self, end: Callable[[], object]) -> None:
        """Watch a load: `end` its process before the kernel looks for something to end."""
        while True:
            await asyncio.sleep(_GUARD_INTERVAL)
            reserve = 0 if self._budget is not None else self._margin // 2
            if self.left() + self._promised + reserve < 0:
                end()
                return


def size_of_files(directory: Path) -> int:
    """Bytes of all files below a model's directory.

    Raises:
        LoadError: 400: it is no directory, or cannot be read.
    """
    try:
        if not directory.is_dir():
            raise LoadError(400, f"url: {directory} is not a directory. Name one that holds a model's files.")
        return sum(
            (Path(place) / name).lstat().st_size for place, _, names in os.walk(directory) for name in names
        )
    except (OSError, ValueError) as error:  # the second: a NUL in the path
        raise LoadError(400, f"url: {str(directory)[:300]!r} cannot be read ({error}).") from None
