"""The part of JSONPath that batch transform documents.

`$`, `.name`, `['name','name']`, `[1]`, `[0,-1]`, `[2:]`, `[0,5:]` and `*`. Several names give an object,
several places a list. Source: SageMaker's guide, "Associate Prediction Results with Input Records".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from toolkit.errors import ToolkitError

_LONGEST = 63  # characters, in the API
_Step = Callable[[Any], Any]

_TOKEN = re.compile(
    r"""\.(?P<name>[^.\[\]*'"\s]+)
      | \.?\[\s*(?P<names>'[^']*'(?:\s*,\s*'[^']*')*)\s*\]
      | \[\s*(?P<places>-?\d*:?-?\d*(?:\s*,\s*-?\d*:?-?\d*)*)\s*\]
      | \.\*(?P<star>) | \[\*\](?P<stars>)""",
    re.VERBOSE,
)
_PLACE = re.compile(r"(-?\d+)|(-?\d+)?:(-?\d+)?")


class NotThereError(Exception):
    """A record has not what the path names."""


@dataclass(frozen=True)
class JsonPath:
    """A path, as it was written, and its steps."""

    text: str
    steps: tuple[_Step, ...]

    @property
    def is_root(self) -> bool:
        """It selects everything."""
        return not self.steps

    def select(self, value: Any) -> Any:
        """What of `value` the path names.

        Raises:
            NotThereError: a name or a place is not there.
        """
        for step in self.steps:
            value = step(value)
        return value


def parse(option: str, text: str) -> JsonPath:
    """The path that `text` is.

    Raises:
        ToolkitError: it is none, or uses what SageMaker does not document; names the option.
    """
    if not text.startswith("$") or len(text) > _LONGEST:
        raise _no_path(option, text)
    steps, place = [], 1
    while place < len(text):
        match = _TOKEN.match(text, place)
        if not match:
            raise _no_path(option, text)
        steps.append(_step(option, text, match))
        place = match.end()
    return JsonPath(text, tuple(steps))


def _no_path(option: str, text: str) -> ToolkitError:
    return ToolkitError(
        f"{option} {text}: this is not a JSONPath that SageMaker documents.",
        "For example: $.features or $[1:] or $['id','SageMakerOutput'] or $[0,-1], at most 63 characters.",
    )


def _step(option: str, text: str, match: re.Match[str]) -> _Step:
    if match["name"] is not None:
        return _member(match["name"])
    if match["names"] is not None:
        return _members(tuple(re.findall(r"'([^']*)'", match["names"])))
    if match["places"] is not None:
        return _elements(option, text, [word.strip() for word in match["places"].split(",")])
    return _every


def _member(name: str) -> _Step:
    def step(value: Any) -> Any:
        if not isinstance(value, dict) or name not in value:
            raise NotThereError(f"there is no {name!r}")
        return value[name]

    return step


def _members(names: tuple[str, ...]) -> _Step:
    if len(names) == 1:
        return _member(names[0])
    return lambda value: {name: _member(name)(value) for name in names}


def _every(value: Any) -> Any:
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list):
        return value
    raise NotThereError("* needs an object or a list")


def _elements(option: str, text: str, words: list[str]) -> _Step:
    places: list[int | slice] = []
    for word in words:
        match = _PLACE.fullmatch(word)
        if not match:
            raise _no_path(option, text)
        if match[1]:
            places.append(int(match[1]))
        else:
            places.append(slice(*(int(bound) if bound else None for bound in (match[2], match[3]))))

    def step(value: Any) -> Any:
        if not isinstance(value, list):
            raise NotThereError(f"{text} needs a list")
        found: list[Any] = []
        for place in places:
            if isinstance(place, slice):
                found += value[place]
            elif -len(value) <= place < len(value):
                found.append(value[place])
            else:
                raise NotThereError(f"there is no place {place} among {len(value)}")
        return found[0] if len(places) == 1 and isinstance(places[0], int) else found

    return step
