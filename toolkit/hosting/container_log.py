"""A container's log lines as a person reads them: JSON lines become text, all others stay."""

from __future__ import annotations

import json
from typing import Any

_MESSAGES = ("message", "msg", "event")
_LEVELS = ("level", "levelname", "severity")
_TIMES = ("time", "timestamp", "ts", "asctime")
_QUIET = {"info", "debug", "notset"}


_REQUEST = {"method", "path", "status"}  # members of a line about a request


def readable(line: str, hides_requests: bool = False) -> str | None:
    """One line.

    An object with a message is that message, its level in front where it is a warning or worse, and its other
    members behind as `name=value`.

    Args:
        line: of the container.
        hides_requests: a line about a request to /invocations becomes None: it has been shown already.
    """
    entry = _entry(line)
    if entry is None:
        return line
    if entry.keys() >= _REQUEST:
        path = str(entry["path"])
        if hides_requests and path.endswith(("/invocations", "/invoke")):
            return None
        words = [f"{entry['method']} {path} {entry['status']}"]
        words += [f"{entry['ms']} ms"] if "ms" in entry else []
        return "  ".join(words)
    rest = dict(entry)
    for name in _TIMES:
        rest.pop(name, None)
    level = str(_take(rest, _LEVELS) or "")
    message = _take(rest, _MESSAGES)
    words = [] if level.lower() in _QUIET or not level else [f"{level.upper()}:"]
    words += [str(message)] if message is not None else []
    traceback = _take(rest, ("traceback", "exc_info"))
    words += [f"{name}={_text(value)}" for name, value in rest.items() if value is not None]
    return " ".join(words) + (f"\n{traceback}" if traceback else "")


def _entry(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _take(entry: dict[str, Any], names: tuple[str, ...]) -> Any:
    found = [entry.pop(name) for name in names if name in entry]
    return found[0] if found else None


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str) and value and not set(value) & set(' "='):
        return value
    return json.dumps(value)
