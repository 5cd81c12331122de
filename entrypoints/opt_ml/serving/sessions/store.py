"""The sessions that are open, each with a directory of its own below one for all.

A directory's name is the session's id, and its modification time in the future is when the session ends:
a server that starts again, on a path that has survived, finds them as they were.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from pathlib import Path

_ID = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")  # HOST-104
_LONGEST_ID = 256
_SWEEP = 10.0  # seconds between two looks for sessions that have ended


class SessionStore:
    """Sessions in `directory`.

    Args:
        directory: made at the first session.
        lifetime: seconds from the opening of a session to its end.
    """

    def __init__(self, directory: Path, lifetime: float) -> None:
        self._directory = directory
        self._lifetime = lifetime
        self._ends: dict[str, float] = {}
        self._swept = 0.0
        if directory.is_dir():
            for path in directory.iterdir():
                if path.is_dir() and is_session_id(path.name):
                    self._ends[path.name] = path.stat().st_mtime

    def __len__(self) -> int:
        return len(self._ends)

    def open(self) -> tuple[str, float]:
        """A new session: its id, which nobody can guess, and the time at which it ends.

        Raises:
            OSError: its directory cannot be made.
        """
        name = secrets.token_hex(16)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / name
        path.mkdir(mode=0o700)
        files_of(self._directory, name).mkdir(mode=0o700)
        end = time.time() + self._lifetime
        os.utime(path, (end, end))
        self._ends[name] = end
        return name, end

    def has(self, name: str) -> bool:
        """True for a session that was opened, is not closed, and has not ended by itself."""
        end = self._ends.get(name)
        if end is not None and end <= time.time():
            self._drop(name)
            return False
        return end is not None

    def close(self, name: str) -> None:
        """Forget a session and remove what it left.

        Raises:
            OSError: its files cannot be removed.
        """
        del self._ends[name]
        shutil.rmtree(self._directory / name)

    def sweep(self) -> None:
        """Remove what has ended; called now and then."""
        now = time.time()
        if now - self._swept < _SWEEP:
            return
        self._swept = now
        for name in [name for name, end in self._ends.items() if end <= now]:
            self._drop(name)

    def _drop(self, name: str) -> None:
        del self._ends[name]
        shutil.rmtree(self._directory / name, ignore_errors=True)


def files_of(directory: Path, name: str) -> Path:
    """Where handlers write: one level below the session's directory, whose time only we set."""
    return directory / name / "files"


def is_session_id(text: str) -> bool:
    """True for what the platform lets through as an id (HOST-104); such a text is also a safe file name."""
    return len(text) <= _LONGEST_ID and _ID.fullmatch(text) is not None
