"""An `.out` file that is there whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO


class OutputFile:
    """Written under another name, and renamed when it is complete.

    Args:
        directory: of all outputs.
        name: of the input below its own directory; `sub/file.csv` becomes `sub/file.csv.out`.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self.path = directory / f"{name}.out"
        self._partial = self.path.with_name(f".{self.path.name}.partial")
        self._file: BinaryIO | None = None

    def write(self, part: bytes) -> None:
        """Append; the directory is made by the first call."""
        self._open().write(part)

    def complete(self) -> Path:
        """The file with all that was written; an earlier one of its name is replaced."""
        self._open().close()
        self._partial.replace(self.path)
        return self.path

    def discard(self) -> None:
        """Nothing stays."""
        if self._file:
            self._file.close()
            self._partial.unlink(missing_ok=True)

    def _open(self) -> BinaryIO:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._partial.open("wb")
        return self._file
