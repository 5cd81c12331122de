"""How the C library keeps the memory that tensors take."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_KEPT = 128 << 20  # bytes that a process keeps when they are free
_LARGEST = 32 << 20  # bytes of a block that is kept; the C library allows no more


def keep_freed_memory() -> None:
    """Keep freed blocks for the next tensor, instead of giving them back to the system.

    Each call of a model takes and frees the same blocks for what passes between its layers. glibc gives large
    ones back at once, and the system fills each page with zeros when it is next touched: nearly half the time
    of a small convolutional network. A C library without mallopt is left as it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, _KEPT)
        mallopt(_MMAP_THRESHOLD, _LARGEST)
