"""What a handler sees of a session: its id, a directory, and values by key."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from opt_ml.serving.sessions.store import files_of, is_session_id

ENABLED = "SAGEMAKER_ENABLE_STATEFUL_SESSIONS"
PATH = "SAGEMAKER_SESSIONS_PATH"
DEFAULT_PATH = "/dev/shm/sagemaker_sessions"  # noqa: S108 - where AWS's own library keeps them (HOST-105)
_LONGEST_NAME = 255  # bytes of a file's name


class Session:
    """One session. Any worker may get the next request of it, so what is to stay is a file.

    Args:
        session_id: as the client sends it.
        directory: of the session's files; it is removed with the session.
    """

    def __init__(self, session_id: str, directory: Path) -> None:
        self.session_id = session_id
        self.directory = directory

    def put(self, key: str, value: Any) -> None:
        """Keep a value that JSON can hold.

        Raises:
            TypeError: JSON cannot hold it.
            ValueError: the key is empty or too long.
        """
        path, content = self._path(key), orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
        # A reader sees the old value or the new one, never half of one. Other workers may put the same key.
        with tempfile.NamedTemporaryFile(dir=self.directory, suffix=".new", delete=False) as waiting:
            waiting.write(content)
        Path(waiting.name).replace(path)

    def get(self, key: str, default: Any = None) -> Any:
        """The value that was put under `key`, or `default`."""
        try:
            return orjson.loads(self._path(key).read_bytes())
        except FileNotFoundError:
            return default

    def _path(self, key: str) -> Path:
        name = f"{quote(key, safe=' ')}.json"
        if not key or len(name) > _LONGEST_NAME:
            raise ValueError(f"{key[:100]!r} is no key of a session: use 1 to about 200 characters")
        # quote() leaves dots: a key of nothing else stays a name, because of the suffix.
        return self.directory / name


def session_of(headers: Mapping[str, str], environment: Mapping[str, str]) -> Session | None:
    """The session that a request names, where sessions are on and the front has let it through.

    Args:
        headers: of the request, names in lower case.
        environment: of the process.
    """
    name = headers.get("x-amzn-sagemaker-session-id")
    if name is None or not is_enabled(environment) or not is_session_id(name):
        return None
    return Session(name, files_of(sessions_path(environment), name))


def is_enabled(environment: Mapping[str, str]) -> bool:
    """True where the model's environment switches sessions on (HOST-105)."""
    return environment.get(ENABLED, "").strip().lower() == "true"


def sessions_path(environment: Mapping[str, str]) -> Path:
    """Where the sessions' directories are."""
    return Path(environment.get(PATH, "").strip() or DEFAULT_PATH)
