"""A container's log lines as a person reads them: JSON lines become text, all others stay."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_MESSAGES = ("message", "msg", "event")
_LEVELS = ("level", "levelname", "severity")
_TIMES = ("time", "timestamp", "ts", "asctime")
_QUIET = {"info", "debug", "notset"}


def readable(line: str) -> str:
    """One line.

    An object with a message is that message, its level in front where it is a warning or worse, and its other
    members behind as `name=value`.
    """
    if not line.startswith("{"):
        return line
    try:
        entry = json.loads(line)
    except ValueError:
        return line
    if not isinstance(entry, dict):
        return line
    rest = dict(entry)
    for name in _TIMES:
        rest.pop(name, None)
    level = str(_take(rest, _LEVELS) or "")
    message = _take(rest, _MESSAGES)
    words = [] if level.lower() in _QUIET or not level else [f"{level.upper()}:"]
    words += [str(message)] if message is not None else []
    traceback = rest.pop("traceback", None) or rest.pop("exc_info", None)
    words += [f"{name}={_text(value)}" for name, value in rest.items() if value is not None]
    return " ".join(words) + (f"\n{traceback}" if traceback else "")


def _take(entry: dict[str, Any], names: tuple[str, ...]) -> Any:
    found = [entry.pop(name) for name in names if name in entry]
    return found[0] if found else None


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str) and value and not set(value) & set(' "='):
        return value
    return json.dumps(value) if not isinstance(value, Mapping) else json.dumps(dict(value))
