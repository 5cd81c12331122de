"""Opens an input file, compressed or not."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from toolkit.transform.records import RecordError


def opened(path: Path, compression_type: str) -> BinaryIO:
    """The content of a file, from its start; the caller closes it.

    Args:
        path: of the file.
        compression_type: `None` or `Gzip`.

    Raises:
        RecordError: while it is read: it is not gzip, or ends early.
    """
    return cast(BinaryIO, _Gunzipped(path)) if compression_type == "Gzip" else path.open("rb")


class _Gunzipped(gzip.GzipFile):
    """What is wrong with the file is an error of the file, whichever way zlib and gzip say it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "rb")

    def read(self, size: int | None = -1) -> bytes:
        """As of any file."""
        with _told():
            return super().read(size)

    def readline(self, size: int | None = -1) -> bytes:
        """As of any file."""
        with _told():
            return super().readline(size)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise RecordError(f"it cannot be read with --compression-type Gzip: {error}") from None
