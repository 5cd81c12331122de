"""An image on its way out of the engine, as `docker save` writes it."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from toolkit.errors import WorkError


@contextmanager
def save_image(reference: str) -> Iterator[IO[bytes]]:
    """The stream of `docker save`, which must be read to its end.

    Raises:
        WorkError: the engine could not write it, or it was not read to the end.
    """
    with (
        tempfile.TemporaryFile() as words,
        subprocess.Popen(["docker", "save", reference], stdout=subprocess.PIPE, stderr=words) as process,
    ):
        assert process.stdout is not None  # noqa: S101 - PIPE was asked for
        try:
            yield process.stdout
            while process.stdout.read(1 << 20):  # padding after the archive's end
                pass
        except BaseException:
            process.kill()
            raise
        process.wait()
        words.seek(0)
        said = words.read().decode(errors="replace").strip()
    if process.returncode:
        cure = "docker builder prune" if "no space left" in said else "./build.py doctor"
        raise WorkError(f"{reference} could not be read: {said}", cure)
