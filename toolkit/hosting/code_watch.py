"""Notices changes below a directory, by asking for times and sizes: no service of the system is needed."""

from __future__ import annotations

import os
from pathlib import Path

_LEFT_OUT = {"__pycache__"}


class CodeWatch:
    """What has changed below `directory` since the last question.

    Files that editors and interpreters make on the way do not count: names that begin with a dot or end in
    `~`, and byte code.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._seen = self._look()

    def changed(self) -> list[str]:
        """Names, relative to the directory, of files that came, went or changed; sorted."""
        now = self._look()
        names = sorted(
            name for name in now.keys() | self._seen.keys() if now.get(name) != self._seen.get(name)
        )
        self._seen = now
        return names

    def _look(self) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for top, directories, files in os.walk(self.directory, followlinks=True):
            directories[:] = [name for name in directories if _counts(name)]
            for name in filter(_counts, files):
                path = Path(top, name)
                try:
                    state = path.stat()
                except OSError:  # gone again
                    continue
                found[path.relative_to(self.directory).as_posix()] = (state.st_mtime_ns, state.st_size)
        return found


def _counts(name: str) -> bool:
    return not (name.startswith(".") or name.endswith(("~", ".pyc")) or name in _LEFT_OUT)
