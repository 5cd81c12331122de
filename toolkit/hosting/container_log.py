"""A container's log lines as a person reads them: JSON lines become text, all others stay."""

from __future__ import annotations

import json
import math
from typing import Any

_MESSAGES = ("message", "msg", "event")
_LEVELS = ("level", "levelname", "severity")
_TIMES = ("time", "timestamp", "ts", "asctime")
_QUIET = {"info", "debug", "notset"}


_REQUEST = {"method", "path", "status"}  # members of a line about a request
_SUMMARY = {"requests", "statuses", "seconds"}  # and of one about the requests of so many seconds
_RECENT = 2.0  # seconds that such a line may come late


def readable(line: str, quiet_for: float = math.inf) -> str | None:
    """One line.

    An object with a message is that message, its level in front where it is a warning or worse, and its other
    members behind as `name=value`.

    Args:
        line: of the container.
        quiet_for: seconds since the last request to /invocations that had a line of ours. The container's
            own line about it, or about how many there were, becomes None.
    """
    entry = _entry(line)
    if entry is None:
        return line
    if entry.keys() >= _REQUEST:
        path = str(entry["path"])
        if quiet_for < _RECENT and path.endswith(("/invocations", "/invoke")):
            return None
        words = [f"{entry['method']} {path} {entry['status']}"]
        words += [f"{entry['ms']} ms"] if "ms" in entry else []
        return "  ".join(words)
    if entry.keys() >= _SUMMARY and quiet_for < _RECENT + _number(entry["seconds"]):
        return None
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


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _take(entry: dict[str, Any], names: tuple[str, ...]) -> Any:
    found = [entry.pop(name) for name in names if name in entry]
    return found[0] if found else None


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str) and value and not set(value) & set(' "='):
        return value
    return json.dumps(value)
