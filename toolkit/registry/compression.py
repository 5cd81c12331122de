"""Layers as gzip, on all CPUs, the same bytes each time, with little in memory."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO

BLOCK = 1 << 20  # bytes that are compressed at once, each to a gzip member of its own
LEVEL = 6
_GZIP = 16 + zlib.MAX_WBITS  # a gzip header, without a time in it
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class Blob:
    """Bytes of a registry.

    Attributes:
        digest: `sha256:...` of them.
        size: how many.
    """

    digest: str
    size: int

    @classmethod
    def of(cls, content: bytes) -> Blob:
        """The blob that `content` is."""
        return cls(f"sha256:{hashlib.sha256(content).hexdigest()}", len(content))


class ZstdLayerError(Exception):
    """A layer is compressed in a way that SageMaker is not known to take (IMG-04)."""


def gzip_layer(source: IO[bytes], target: IO[bytes]) -> Blob:
    """Copy a layer to `target` as gzip; one that is gzip already is not changed.

    Raises:
        ZstdLayerError: the layer is compressed with zstd.
        OSError: `target` takes no more.
    """
    first = source.read(BLOCK)
    if first.startswith(_ZSTD_MAGIC):
        raise ZstdLayerError
    blocks = _blocks(first, source)
    digest, size = hashlib.sha256(), 0
    for part in blocks if first.startswith(_GZIP_MAGIC) else _compressed(blocks):
        digest.update(part)
        target.write(part)
        size += len(part)
    target.flush()
    return Blob(f"sha256:{digest.hexdigest()}", size)


def _blocks(first: bytes, source: IO[bytes]) -> Iterator[bytes]:
    block = first
    while block:
        yield block
        block = source.read(BLOCK)


def _compressed(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks as gzip members, in order; zlib lets other threads work meanwhile."""
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        under_way: deque[Future[bytes]] = deque()
        for block in blocks:
            under_way.append(pool.submit(zlib.compress, block, LEVEL, _GZIP))
            if len(under_way) > 2 * workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
