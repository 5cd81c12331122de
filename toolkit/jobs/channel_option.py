"""`--channel NAME=PATH[,TYPE][,key=value...]`, as a person types it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from toolkit.errors import ToolkitError
from toolkit.jobs.job_description import ACCESSES, DISTRIBUTIONS, INPUT_MODES, RECORD_WRAPPERS, Channel
from toolkit.jobs.job_limits import one_of

SYNTAX = "NAME=PATH[,TYPE][,mode=Pipe,...]"
HELP = (
    "a directory or file as channel NAME, read-only; TYPE is its content type; then mode=File|FastFile|Pipe, "
    "distribution=ShardedByS3Key, wrapper=RecordIO, shuffle=SEED, groups=A+B, attributes=A+B (augmented "
    "manifest), manifest=yes, access=ro|copy|rw (repeatable)"
)

_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][\w.+-]*/[A-Za-z0-9][\w.+;= -]*")
_SETTING = re.compile(r"([A-Za-z-]+)=(.*)")


def parse_channels(texts: Sequence[str]) -> tuple[Channel, ...]:
    """`["train=data.csv", "test=more.csv,text/csv,mode=Pipe"]` -> channels.

    A path may hold commas: what follows the last of them counts as type or setting only where it looks
    like one, and where there is no file of the whole name.

    Raises:
        ToolkitError: no name, no `=`, no path, or a setting that is not known, with the nearest that is.
    """
    return tuple(_parse(text) for text in texts)


def _parse(text: str) -> Channel:
    name, _, value = text.partition("=")
    if not (name and value):
        raise ToolkitError(
            f"--channel {text}: this is not NAME=PATH.",
            "For example: --channel train=data/train.csv or --channel train=data/train.csv,text/csv",
        )
    settings: dict[str, Any] = {}
    while "," in value and not Path(value).exists():
        path, _, ending = value.rpartition(",")
        if match := _SETTING.fullmatch(ending):
            settings = {**_setting(text, match[1], match[2]), **settings}
        elif _MEDIA_TYPE.fullmatch(ending) and "content_type" not in settings:
            settings["content_type"] = ending
        else:
            break
        value = path
    if not value:
        raise ToolkitError(f"--channel {text}: there is no path.", f"For example: --channel {name}=data")
    return replace(Channel(name, Path(value)), **settings)


def _setting(text: str, key: str, value: str) -> Mapping[str, Any]:
    try:
        one_of(key.lower(), list(_READERS), "the setting")
        attribute, read = _READERS[key.lower()]
        return {attribute: read(value)}
    except ToolkitError as error:
        raise ToolkitError(f"--channel {text}: {error.message}", error.cure) from None


def _one(known: Sequence[str]) -> Callable[[str], str]:
    """Reads one of `known`, whatever its case."""

    def read(value: str) -> str:
        found = {word.lower(): word for word in known}.get(value.lower(), value)
        one_of(found, known, "the value")
        return found

    return read


def _several(value: str) -> tuple[str, ...]:
    return tuple(part for part in value.split("+") if part)


def _whole(value: str) -> int:
    if not re.fullmatch(r"\d+", value):
        raise ToolkitError(f"the seed {value!r} is no whole number.")
    return int(value)


def _yes(value: str) -> bool:
    return _one(("yes", "no"))(value) == "yes"


_READERS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "type": ("content_type", str),
    "mode": ("input_mode", _one(INPUT_MODES)),
    "distribution": ("distribution", _one(DISTRIBUTIONS)),
    "wrapper": ("record_wrapper", _one(RECORD_WRAPPERS)),
    "attributes": ("attribute_names", _several),
    "shuffle": ("shuffle_seed", _whole),
    "groups": ("instance_groups", _several),
    "manifest": ("manifest", _yes),
    "access": ("access", _one(ACCESSES)),
}
