"""How far a large layer has come, now and then: a push of some GB is not silent for minutes."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import IO, Any

INTERVAL = 10.0  # seconds between two words on one layer


def watched(
    stream: IO[bytes],
    size: int,
    tell_part: Callable[[float], None],
    clock: Callable[[], float] = time.monotonic,
) -> IO[bytes]:
    """A stream that tells which part of it has been read.

    Args:
        stream: to read; it is closed with this one.
        size: its length in bytes.
        tell_part: takes a number between 0 and 1, every `INTERVAL` seconds at most, and never at the end.
        clock: seconds, from anywhere.
    """
    return io.BufferedReader(_Watched(stream, size, tell_part, clock))


class _Watched(io.RawIOBase):
    def __init__(
        self, stream: IO[bytes], size: int, tell_part: Callable[[float], None], clock: Callable[[], float]
    ) -> None:
        self._stream, self._size, self._tell_part, self._clock = stream, size, tell_part, clock
        self._position = 0
        self._told = clock()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._stream.seekable()

    def readinto(self, buffer: Any) -> int:
        found = self._stream.read(len(buffer))
        buffer[: len(found)] = found
        self._position += len(found)
        now = self._clock()
        if now - self._told >= INTERVAL and self._position < self._size:
            self._told = now
            self._tell_part(self._position / self._size)
        return len(found)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = self._stream.seek(offset, whence)
        return self._position

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        self._stream.close()
        super().close()
